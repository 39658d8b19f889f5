declare module "proxy-from-env" {
  /** The proxy for a URL as the environment says it, or an empty text. */
  export const getProxyForUrl: (url: string) => string
}
