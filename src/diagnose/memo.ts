/** A map that keeps what was used most lately, up to a limit: parsed listings are large, and old ones are not asked for. */
export function recentMap<V>(limit: number): Map<string, V> {
  const map = new Map<string, V>();
  const get = map.get.bind(map);
  const set = map.set.bind(map);
  map.get = (key) => {
    const value = get(key);
    if (value !== undefined) {
      map.delete(key);
      set(key, value);
    }
    return value;
  };
  map.set = (key, value) => {
    map.delete(key);
    set(key, value);
    if (map.size > limit) {
      const oldest = map.keys().next();
      if (!oldest.done) map.delete(oldest.value);
    }
    return map;
  };
  return map;
}
