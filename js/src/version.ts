import metadata from "../package.json";

/** Version of the front end; the Python package has the same. */
export const VERSION: string = metadata.version;
