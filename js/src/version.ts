/** Version of the front end. The Python package and package.json have the same; a test compares. */
export const VERSION = "0.1.0";
