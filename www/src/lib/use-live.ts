/** Watches one `Live` value of Tidewire. `undefined` means that it is not known yet. */
import { useEffect, useState } from "react";
import type { Live } from "tidewire";

export function useLive<T>(live: Live<T>): T | undefined {
  const [value, setValue] = useState<T | undefined>(() => live.peek());
  useEffect(() => {
    setValue(live.peek());
    return live.subscribe((next) => setValue(next));
  }, [live]);
  return value;
}
