// Loaded before Portkey's gateway: it adds its own headers to those of the provider's answer, which Node refuses for
// streams ("immutable"), so that each of them would be a 500. With this its headers are left out and the stream works.
for (const name of ["append", "delete"]) {
  const original = Headers.prototype[name];
  Headers.prototype[name] = function forgiving(...args) {
    try {
      original.apply(this, args);
    } catch (error) {
      if (error.message !== "immutable") throw error;
    }
  };
}
