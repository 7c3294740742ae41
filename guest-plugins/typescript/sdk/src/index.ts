/** Write a Nozzle plugin in TypeScript: see `docs/plugins-typescript.md`. */

export { Batch, Event, Reject } from "./batch";
export { count, log } from "./host";
export type { Call, CallEvent, EventVerdict, Failure, Handled, Outcome, Response, Result, Verdict } from "./outcome";
export { type Definition, definePlugin, type Plugin } from "./plugin";
export { type Setting, type Settings, setting, type Values } from "./settings";
export { del, get, patch, post, put, Request, request, Shaped } from "./shaped";
