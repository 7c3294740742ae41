/** From a definition to what the component exports. */

import { Batch, Reject } from "./batch";
import { console, log, setHost } from "./host";
import { Call, type Handled, lowerHandled, liftOutcome, type Outcome, type Verdict } from "./outcome";
import { readSettings, type Settings, type Values } from "./settings";
import { Shaped } from "./shaped";
import type * as wit from "./wit";

/** A plugin as its author writes it. */
export interface Definition<S extends Settings, State> {
  /** The keys of `plugin.config`. Without it there are none. */
  settings?: S;
  /**
   * Runs once in every instance, before anything else. What it returns is passed to `shape` and `handle`; without it they get the settings.
   * An error refuses the plugin, with its message.
   */
  configure?(settings: Values<S>): State;
  /**
   * From a batch to requests: every event of the batch goes to exactly one place. An error is for a batch that cannot be shaped at all:
   * the host halves it until the record at fault stands alone, and dead-letters that one.
   */
  shape(batch: Batch, state: State): Shaped;
  /** From an outcome to a verdict. Without it the sink's status policy decides, and nothing is called. */
  handle?(outcome: Outcome, call: Call, state: State): Verdict | Handled;
}

/** A plugin as the build connects it to the host. */
export interface Plugin {
  /** Whether it judges responses: then it is built for the world `sink`, otherwise for `shaper`. */
  readonly handles: boolean;
  connect(host: wit.Host, call?: wit.CurrentCall): wit.Exports;
}

/** Defines a plugin: `export default definePlugin({ … })`. */
export function definePlugin<S extends Settings = {}, State = Values<S>>(definition: Definition<S, State>): Plugin {
  return {
    handles: definition.handle !== undefined,
    connect(host, call) {
      setHost(host);
      (globalThis as { console?: unknown }).console ??= console;
      return exportsOf(definition, call);
    },
  };
}

function exportsOf<S extends Settings, State>(definition: Definition<S, State>, call: wit.CurrentCall | undefined): wit.Exports {
  const { settings = {} as S, configure = (values) => values as unknown as State, shape, handle } = definition;
  let state: State;
  return {
    shaping: {
      configure(config) {
        // A component's error is its text.
        explained(() => {
          state = configure.call(definition, readSettings(settings, JSON.parse(config)));
        });
      },
      shape(batch) {
        return explained(() => {
          const shaped = shape.call(definition, new Batch(batch), state);
          if (!(shaped instanceof Shaped)) throw new TypeError("`shape` returned no `Shaped`; it cannot be asynchronous");
          return shaped.lower();
        });
      },
    },
    handling: {
      handle(outcome) {
        if (!handle || !call) return { verdict: { tag: "by-status" }, results: [] };
        try {
          return lowerHandled(handle.call(definition, liftOutcome(outcome), new Call(call), state));
        } catch (error) {
          // `handle` has no error in the contract: the trap that follows says nothing of its cause.
          log.error("handle threw an error", { error: explain(error) });
          throw error;
        }
      },
    },
  };
}

function explained<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw explain(error);
  }
}

/** What an error says; for one that nobody meant, with its kind and the function that threw it. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof Reject || error.constructor === Error) return error.message;
  const place = /^\s*at (\S+)/m.exec(error.stack ?? "")?.[1];
  return `${error.name}: ${error.message}${place ? ` (in ${place})` : ""}`;
}
