import type { Event } from "nozzle-plugin";

/** The settings that make an action line. "" leaves the id or the key out. */
export interface Action {
  readonly action: string;
  readonly actionFields: Record<string, unknown>;
  readonly idField: string;
  readonly keyField: string;
}

/** Writes action lines. What is the same for every record is made once. */
export function actionLine({ action, actionFields, idField, keyField }: Action): (event: Event) => string {
  if (action === "") throw new Error("`action` is empty");
  const twice = Object.keys(actionFields).find((name) => name === idField || name === keyField);
  if (twice !== undefined) throw new Error(`\`${twice}\` stands twice in the action`);
  if (idField === keyField && idField !== "") throw new Error(`\`${idField}\` stands for the id and for the key`);
  const quoted = JSON.stringify;
  const head = `{${quoted(action)}:{`;
  const fields = quoted(actionFields).slice(1, -1);
  return (event) => {
    const parts = fields ? [fields] : [];
    if (idField) parts.push(`${quoted(idField)}:${quoted(event.id)}`);
    const key = keyField ? event.key : undefined;
    if (key !== undefined) parts.push(`${quoted(keyField)}:${quoted(key)}`);
    return `${head}${parts.join(",")}}}`;
  };
}
