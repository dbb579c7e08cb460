/** Creates self-signed certificates for TLS connections of tests (RFC 5280). */
import { createPrivateKey, generateKeyPairSync, sign } from "node:crypto"

/** A certificate with its key, in the forms that TLS options, headers and thumbprints need. */
export interface TestCertificate {
  /** The certificate in PEM. */
  readonly cert: string
  /** The private key in PEM. */
  readonly key: string
  /** The certificate in DER. */
  readonly der: Uint8Array<ArrayBuffer>
}

const element = (tag: number, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const content = Buffer.concat(parts)
  const { length } = content
  const size =
    length < 0x80 ? [length] : length < 0x1_00 ? [0x81, length] : [0x82, Math.floor(length / 0x1_00), length % 0x1_00]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const sequence = (...parts: ReadonlyArray<Uint8Array>) => element(0x30, ...parts)
const ecdsaWithSha256 = sequence(element(0x06, Buffer.from("2a8648ce3d040302", "hex")))
const commonName = element(0x06, Buffer.from("550403", "hex"))
const utcTime = (text: string) => element(0x17, Buffer.from(text))

/** Creates a certificate whose subject is `CN=<name>`, with a new key of P-256. It is valid until 2049. */
export const selfSigned = (name = "localhost"): TestCertificate => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" }
  })
  const subject = sequence(element(0x31, sequence(commonName, element(0x0c, Buffer.from(name)))))
  const body = sequence(
    element(0xa0, element(0x02, Buffer.from([2]))),
    element(0x02, Buffer.from([1])),
    ecdsaWithSha256,
    subject,
    sequence(utcTime("200101000000Z"), utcTime("491231235959Z")),
    subject,
    publicKey
  )
  const signature = sign("sha256", body, createPrivateKey(privateKey))
  const der = sequence(body, ecdsaWithSha256, element(0x03, Buffer.from([0]), signature))
  const lines = der.toString("base64").match(/.{1,64}/g) ?? []
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`,
    key: privateKey,
    der: new Uint8Array(der)
  }
}
