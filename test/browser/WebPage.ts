/** Controls the web page of `npm start` in a browser, as its visitor does: by the names of links, fields and buttons. */
import type { Browser, BrowserContext, Page } from "playwright-core"

export class WebPage {
  readonly page: Page
  readonly api: string
  /** Exceptions in the pages, and violations of a Content-Security-Policy. */
  readonly complaints: Array<string> = []

  private constructor(page: Page, api: string) {
    this.page = page
    this.api = api
  }

  /** Opens the page in a new browser context without cookies. */
  static async open(browser: Browser, api: string, at = api): Promise<WebPage> {
    const context = await browser.newContext()
    context.setDefaultTimeout(10_000)
    return WebPage.openIn(context, api, at)
  }

  static async openIn(context: BrowserContext, api: string, at = api): Promise<WebPage> {
    const self = new WebPage(await context.newPage(), api)
    context.on("weberror", (error) => self.complaints.push(String(error.error())))
    context.on("console", (message) => {
      if (/content.security.policy/i.test(message.text())) self.complaints.push(message.text())
    })
    await self.page.goto(`${at}/`)
    return self
  }

  get context(): BrowserContext {
    return this.page.context()
  }

  /** Follows the link of the start page, and enters a name at the authorization server. */
  async signIn(name: string): Promise<void> {
    await this.page.getByRole("link", { name: "Sign in" }).click()
    await this.enter(name)
  }

  async enter(name: string): Promise<void> {
    await this.page.getByLabel("Your name").fill(name)
    await this.page.getByRole("button", { name: "Sign in" }).click()
    await this.page.waitForURL(`${this.api}/your-items`)
  }

  /** Signs out of the app and of the authorization server. */
  async signOut(): Promise<void> {
    await this.page.getByRole("button", { name: "Sign out" }).click()
    await this.page.getByText("sign out of the authorization server, too").waitFor()
    await this.page.getByRole("button", { name: "Sign out" }).click()
    await this.page.waitForURL(`${this.api}/`)
  }

  async add(name: string): Promise<void> {
    await this.page.getByLabel("New item").fill(name)
    await this.page.getByRole("button", { name: "Add" }).click()
    await this.page.getByRole("listitem").filter({ hasText: name }).waitFor()
  }

  items(): Promise<ReadonlyArray<string>> {
    return this.page.getByRole("listitem").allInnerTexts()
  }

  heading(): Promise<string> {
    return this.page.getByRole("heading", { level: 1 }).innerText()
  }
}
