// Adds notes with the API. A page of another origin cannot send the header X-CSRF without permission.
const headers = { "X-CSRF": "1" }
const form = document.getElementById("add")
const list = document.getElementById("notes")
const status = document.getElementById("status")

const show = (notes) =>
  list.replaceChildren(
    ...notes.map((note) => {
      const item = document.createElement("li")
      item.textContent = note
      return item
    })
  )

/** If the session has ended, the script opens the sign-in. A request of a script cannot follow to the provider. */
const send = async (options) => {
  const response = await fetch("/api/notes", { ...options, headers })
  if (response.status !== 401) return response
  location.href = `/login?return_to=${encodeURIComponent(location.pathname)}`
  throw new Error("The session has ended.")
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault()
  const added = await send({ method: "POST", body: JSON.stringify({ text: new FormData(form).get("text") }) })
  if (!added.ok) {
    status.textContent = `The note was not added (${added.status}).`
    return
  }
  form.reset()
  status.textContent = ""
  const notes = await send({})
  show(await notes.json())
  status.textContent = `Added by process ${added.headers.get("x-process")}, listed by process ${notes.headers.get("x-process")}.`
})
