import createClient from "openapi-fetch";
import type { paths } from "./api.d.ts";

// JSON alone of the media types that an operation can answer in
const client = (token: string) =>
  createClient<paths, "application/json">({ baseUrl: URL_OF_SERVICE, headers: { Authorization: `Bearer ${token}` } });
const events = (token: string) =>
  createClient<paths, "text/event-stream">({ baseUrl: URL_OF_SERVICE, headers: { Authorization: `Bearer ${token}` } });

/** true where the description says what a value is; its opposite is a mistake that the compiler finds. */
type Known<T> = unknown extends T ? false : [NonNullable<T>] extends [never] ? false : true;

function report(operation: string, status: number, data: unknown, error: unknown): void {
  console.log(JSON.stringify({ operation, status, data, error }));
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("there is no such answer to take a name from");
  return value;
}

async function first(stream: ReadableStream<Uint8Array> | null | undefined): Promise<string> {
  return (await new Response(present(stream ?? undefined)).text()).split("\n")[0] ?? "";
}
