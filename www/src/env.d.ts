/// <reference types="vite/client" />

declare module "sample-data/movies.json?url" {
  const url: string;
  export default url;
}
