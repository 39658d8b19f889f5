declare module "proxy-from-env" {
  /** The URL of the proxy for a URL, from the variables of the environment; empty if there is none. */
  export const getProxyForUrl: (url: string) => string
}
