/** An id drawn by chance; the browser's own `randomUUID` is missing in pages that come over plain HTTP. */
export function random_id(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
