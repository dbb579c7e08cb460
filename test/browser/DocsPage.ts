/** Controls the documentation page in a browser as its reader does. */
import type { Browser, BrowserContext, Locator, Page, Request } from "playwright-core"

export class DocsPage {
  readonly context: BrowserContext
  readonly page: Page
  /** Exceptions in the page, and violations of its Content-Security-Policy. */
  readonly complaints: Array<string> = []
  readonly requests: Array<Request> = []

  private constructor(context: BrowserContext, page: Page) {
    this.context = context
    this.page = page
  }

  /** Opens the page in a new browser context without a session. */
  static async open(browser: Browser, url: string): Promise<DocsPage> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
    context.setDefaultTimeout(10_000)
    const self = new DocsPage(context, await context.newPage())
    context.on("weberror", (error) => self.complaints.push(String(error.error())))
    context.on("console", (message) => {
      if (/content.security.policy/i.test(message.text())) self.complaints.push(message.text())
    })
    context.on("request", (request) => self.requests.push(request))
    await self.page.goto(url)
    await self.page.locator(".opblock").first().waitFor()
    return self
  }

  /** Returns `true` if the reader sees the page's button Authorize without scrolling. */
  readonly showsAuthorize = () => this.isInView(this.page.locator(".scheme-container .btn.authorize"))

  /** Returns how much each operation's lock stands out: the opacity of its icon. */
  readonly lockOpacities = () =>
    this.page
      .locator(".authorization__btn svg")
      .evaluateAll((icons) => icons.map((icon) => getComputedStyle(icon).opacity))

  readonly dialog = {
    open: () => this.page.locator(".scheme-container .btn.authorize").click(),
    close: () => this.page.locator(".modal-ux .btn-done").click(),
    /** Returns the error, which the reader must see without scrolling. */
    error: async () => {
      const error = this.page.locator(".modal-ux .errors")
      const text = await error.innerText()
      return (await this.isInView(error)) ? text : `hidden: ${text}`
    },
    waitForLogin: () => this.page.locator(".modal-ux button", { hasText: "Logout" }).waitFor(),
    /** Returns the labels of the visible fields. */
    fields: () => this.page.locator(".modal-ux label[for]:visible").allInnerTexts(),
    /** Returns the selected scopes. */
    selectedScopes: () =>
      this.page
        .locator(".modal-ux .scopes input[type=checkbox]")
        .evaluateAll((boxes) =>
          boxes.flatMap((box) => (box instanceof HTMLInputElement && box.checked ? [box.dataset["value"]] : []))
        ),
    showsAuthorize: () => this.isInView(this.page.locator(".modal-ux button.authorize")),
    isLoggedIn: () => this.page.locator(".modal-ux button", { hasText: "Logout" }).isVisible()
  }

  /** Returns `true` if an element is in the window, and if nothing covers the element. */
  private isInView(locator: Locator): Promise<boolean> {
    return locator.evaluate((element) => {
      const { bottom, left, right, top } = element.getBoundingClientRect()
      return [top + 3, bottom - 3].every((y) => element.contains(document.elementFromPoint((left + right) / 2, y)))
    })
  }

  /** Presses Authorize in the open dialog, and returns the authorization server's window. Set `closes` if it closes. */
  async authorize({ closes = false } = {}): Promise<Page> {
    const [popup] = await Promise.all([
      this.context.waitForEvent("page"),
      this.page.locator(".modal-ux button.authorize", { hasText: "Authorize" }).click()
    ])
    if (!closes) await popup.waitForLoadState()
    return popup
  }

  async logIn(name: string): Promise<void> {
    await this.dialog.open()
    const popup = await this.authorize()
    await popup.fill("#login", name)
    await Promise.all([popup.waitForEvent("close"), popup.click("button[type=submit]")])
    await this.dialog.waitForLogin()
    await this.dialog.close()
  }

  async logOut(): Promise<void> {
    await this.dialog.open()
    await this.page.locator(".modal-ux button", { hasText: "Logout" }).click()
    await this.dialog.close()
  }

  readonly createItem = this.operation("create")

  private operation(id: string) {
    const block = () => this.page.locator(`[id$="-${id}"].opblock`)
    return {
      open: async () => {
        await block().locator(".opblock-summary-control").click()
        await block().locator(".try-out__btn").click()
      },
      /** Presses Execute, and returns the response after the page shows its status. */
      execute: async (body: unknown) => {
        await block().locator("textarea").fill(JSON.stringify(body))
        const [response] = await Promise.all([
          this.page.waitForResponse((response) => response.request().method() === "POST"),
          block().locator(".execute").click()
        ])
        const shown = block().locator(".live-responses-table .response-col_status", {
          hasText: String(response.status())
        })
        await shown.first().waitFor()
        return { url: response.url(), status: response.status(), body: (await response.json()) as unknown }
      }
    }
  }

  /** Opens each operation, and returns the paragraphs of its description. */
  async descriptions(): Promise<ReadonlyArray<ReadonlyArray<string>>> {
    const blocks = await this.page.locator(".opblock").all()
    const found: Array<ReadonlyArray<string>> = []
    for (const block of blocks) {
      await block.locator(".opblock-summary-control").click()
      const paragraphs = block.locator(".opblock-description p")
      await paragraphs.first().waitFor()
      found.push(await paragraphs.allInnerTexts())
    }
    return found
  }

  /** Returns the lock icon of each operation, such as `GET /items authorization button locked`. */
  locks(): Promise<ReadonlyArray<string>> {
    return this.page
      .locator(".opblock")
      .evaluateAll((blocks) =>
        blocks.map((block) =>
          [
            block.querySelector(".opblock-summary-method")?.textContent,
            block.querySelector(".opblock-summary-path")?.textContent?.replaceAll("\u200b", ""),
            block.querySelector(".authorization__btn")?.getAttribute("aria-label") ?? "no lock"
          ].join(" ")
        )
      )
  }
}
