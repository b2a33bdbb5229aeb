/** An error in words: what happened and what to do. */
import { TidewireError } from "tidewire";

export interface Explained {
  code: string | undefined;
  /** The field at fault, such as `name`. */
  path: string | undefined;
  text: string;
}

export function explain(error: unknown): Explained {
  if (error instanceof TidewireError) {
    return { code: error.code, path: fieldName(error.path), text: validatorsWords(error) ?? error.hint };
  }
  return { code: undefined, path: undefined, text: error instanceof Error ? error.message : String(error) };
}

/** A JSON Pointer as a person would write it: `/address/city` is `address.city`. */
export function fieldName(pointer: string | undefined): string | undefined {
  return pointer?.replace(/^\//, "").replaceAll("/", ".").replaceAll("~1", "/").replaceAll("~0", "~");
}

/** The validator's own sentence, without what Tidewire says around it for developers. */
function validatorsWords(error: TidewireError): string | undefined {
  if (error.code !== "invalid" || !Array.isArray(error.cause)) return undefined;
  const issue = (error.cause as { message?: unknown }[])[0];
  return typeof issue?.message === "string" ? issue.message : undefined;
}
