/** The users of the tutorial, with their passwords `secret` and `secretalice`. */
import { Effect, Schema } from "effect"
import * as Passwords from "./Passwords.ts"

export const User = Schema.Struct({
  username: Schema.String,
  email: Schema.String,
  full_name: Schema.String,
  disabled: Schema.Boolean
}).annotate({ identifier: "User" })

export type User = typeof User.Type

interface UserInDatabase extends User {
  readonly hashed_password: string
}

const database: ReadonlyMap<string, UserInDatabase> = new Map([
  [
    "johndoe",
    {
      username: "johndoe",
      email: "johndoe@example.com",
      full_name: "John Doe",
      disabled: false,
      hashed_password:
        "fede40435c8fe1158b8c61b2f79c0a7b:92e0d1912dbb215c241692452a24b8b31c37437b0fa81ad94a4c3c6ca3bc4d5c"
    }
  ],
  [
    "alice",
    {
      username: "alice",
      email: "alicechains@example.com",
      full_name: "Alice Chains",
      disabled: true,
      hashed_password:
        "f020b86151c89337a22b1f3dce9d3e47:e8c4ff341c3b22bdddd746fd76f2ab49a4e756e5613c331fb6fff8a01f086694"
    }
  ]
])

/** Hash of a password that nobody has. */
const dummyHash = "10859c4b35f5074f80e1856ff5217de7:b844dfc160ffe18c65c2af759dcb52264fb0f21733a1c0d911d53650dba1bc39"

/** Finds a user. The result has no hash, so that no response contains one. */
export const find = (username: string): User | undefined => {
  const found = database.get(username)
  if (found === undefined) return undefined
  const { hashed_password: _, ...user } = found
  return user
}

/** Returns the user if the password is right. */
export const authenticate = Effect.fnUntraced(function* (username: string, password: string) {
  // A password is also verified for an unknown user, so that the time of a response does not tell who is a user.
  const hash = database.get(username)?.hashed_password ?? dummyHash
  return (yield* Passwords.verify(password, hash)) ? find(username) : undefined
})
