// Unpacks plotly: raw DEFLATE (RFC 1951).  The browser's own DecompressionStream answers later, and printing cannot wait.
"use strict";
window.inflate = (() => {
  const EXTRA = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]; // order of the code lengths' lengths
  const LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
  const DISTANCE_BITS = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
  const bases = (bits, first) => bits.map((_, i) => first + bits.slice(0, i).reduce((sum, own) => sum + 2 ** own, 0));
  const LENGTHS = [...bases(LENGTH_BITS.slice(0, 28), 3), 258];
  const DISTANCES = bases(DISTANCE_BITS, 1);

  // A canonical Huffman code: how many symbols have each length, and the symbols in order of their codes.
  function code(lengths) {
    const counts = new Uint16Array(16), starts = new Uint16Array(17), symbols = new Uint16Array(lengths.length);
    lengths.forEach((length) => { counts[length] += 1; });
    counts[0] = 0;
    for (let length = 1; length < 16; length += 1) starts[length + 1] = starts[length] + counts[length];
    lengths.forEach((length, symbol) => { if (length) symbols[starts[length]++] = symbol; });
    return { counts, symbols };
  }

  // data: Uint8Array, packed.  size: bytes when unpacked.
  return function inflate(data, size) {
    const out = new Uint8Array(size);
    let at = 0; // bits read
    let end = 0; // bytes written

    function bits(count) {
      let value = 0;
      for (let i = 0; i < count; i += 1, at += 1) value |= ((data[at >> 3] >> (at & 7)) & 1) << i;
      return value;
    }

    function symbol({ counts, symbols }) {
      let value = 0, first = 0, index = 0;
      for (let length = 1; length < 16; length += 1) {
        value |= (data[at >> 3] >> (at & 7)) & 1;
        at += 1;
        if (value - counts[length] < first) return symbols[index + value - first];
        index += counts[length];
        first = (first + counts[length]) << 1;
        value <<= 1;
      }
      throw new Error("the page is damaged: its drawing program cannot be unpacked");
    }

    function codes(kind) {
      if (kind === 1) {
        const fixed = Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8));
        return [code(fixed), code(Array(30).fill(5))];
      }
      const letters = bits(5) + 257, distances = bits(5) + 1, given = bits(4) + 4;
      const small = Array(19).fill(0);
      for (let i = 0; i < given; i += 1) small[EXTRA[i]] = bits(3);
      const own = code(small), lengths = [];
      while (lengths.length < letters + distances) {
        const found = symbol(own);
        if (found < 16) lengths.push(found);
        else if (found === 16) lengths.push(...Array(3 + bits(2)).fill(lengths[lengths.length - 1]));
        else lengths.push(...Array(found === 17 ? 3 + bits(3) : 11 + bits(7)).fill(0));
      }
      return [code(lengths.slice(0, letters)), code(lengths.slice(letters))];
    }

    function block(letters, distances) {
      for (let found = symbol(letters); found !== 256; found = symbol(letters)) {
        if (found < 256) {
          out[end++] = found;
          continue;
        }
        const length = LENGTHS[found - 257] + bits(LENGTH_BITS[found - 257]), way = symbol(distances);
        const back = DISTANCES[way] + bits(DISTANCE_BITS[way]);
        for (let i = 0; i < length; i += 1, end += 1) out[end] = out[end - back];
      }
    }

    for (let last = 0; !last;) {
      last = bits(1);
      const kind = bits(2);
      if (kind) {
        block(...codes(kind));
        continue;
      }
      const start = ((at + 7) >> 3) + 4, length = data[start - 4] | (data[start - 3] << 8); // stored as it is
      out.set(data.subarray(start, start + length), end);
      end += length;
      at = 8 * (start + length);
    }
    return out;
  };
})();
