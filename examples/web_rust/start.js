// Loads the module, which does the rest.

import start from "./web_rust.js";

await start();
