export * from "./birnn.js";
