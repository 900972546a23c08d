// A server of the package, the fixtures and the tests, on this machine alone.

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".css": "text/css; charset=utf-8",
  ".wasm": "application/wasm",
};

/** No scripts but files of this server's, and no eval. */
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; " +
  "style-src 'self'; img-src 'self' data: blob:";

/**
 * Serves folders: `{ "/package/": "target/web/birnn", … }`.
 * @returns {Promise<{url: string, close: () => void}>}
 */
export function serve(folders) {
  const server = createServer((request, response) => {
    const url = new URL(request.url, "http://localhost");
    const [path] = [decodeURIComponent(url.pathname)];
    response.setHeader("Content-Security-Policy", POLICY);
    response.setHeader("Cache-Control", "no-store");
    if (path === "/zeros") return zeros(url.searchParams, response);
    if (path === "/broken") return response.destroy();
    const mount = Object.keys(folders).find((mount) => path.startsWith(mount));
    const file = mount && normalize(join(folders[mount], path.slice(mount.length)));
    if (!file?.startsWith(normalize(folders[mount]))) return missing(response);
    send(file, response).catch(() => missing(response));
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const close = () => {
        server.close();
        server.closeAllConnections();
      };
      resolve({ url: `http://localhost:${server.address().port}`, close });
    });
  });
}

async function send(file, response) {
  const { size } = await stat(file);
  const type = TYPES[extname(file)] ?? "application/octet-stream";
  response.writeHead(200, { "Content-Type": type, "Content-Length": size });
  createReadStream(file).pipe(response);
}

function missing(response) {
  response.writeHead(404).end("not here");
}

/** Zeros, in pieces; the length that it says may be another one, or none. */
async function zeros(options, response) {
  const headers = options.has("says") ? { "Content-Length": options.get("says") } : {};
  response.writeHead(200, headers);
  const piece = Buffer.alloc(1 << 16);
  let left = Number(options.get("bytes"));
  while (left > 0 && !response.destroyed) {
    response.write(left < piece.length ? piece.subarray(0, left) : piece);
    left -= Math.min(left, piece.length);
    await new Promise(setImmediate);
  }
  if (options.has("says") && options.get("says") !== options.get("bytes")) response.destroy();
  else response.end();
}
