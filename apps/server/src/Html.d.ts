/** Pages are bundled as texts. */
declare module "*.html" {
  const html: string
  export default html
}
