import { createHmac, createSign, generateKeyPairSync } from 'node:crypto'

/** A key pair, made for the run. */
export const rsa = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' }
})

type Sign = (content: string) => string

export const hmac =
  (secret: string, hash = 'sha256'): Sign =>
  (content) =>
    createHmac(hash, secret).update(content).digest('base64url')

export const rs256: Sign = (content) => createSign('sha256').update(content).sign(rsa.privateKey, 'base64url')

export const unsigned: Sign = () => ''

/** A token with whatever header, claims and signature a case needs; claims may be a string of JSON as it stands. */
export function forge(header: object, claims: object | string, sign: Sign): string {
  const content = `${encoded(header)}.${encoded(claims)}`
  return `${content}.${sign(content)}`
}

/** The claims of a good token of `ada`. */
export function goodClaims(more: object = {}): object {
  const now = Math.floor(Date.now() / 1000)
  return { sub: 'ada', iat: now, exp: now + 3_600, ...more }
}

function encoded(part: object | string): string {
  return Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')
}
