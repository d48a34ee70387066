//! Just enough of zlib (RFC 1950, 1951) to read the compressed vectors: no checksum, no speed, panics on bad input.

const LEN_BASE: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
    227, 258,
];
const LEN_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE: [u16; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073,
    4097, 6145, 8193, 12289, 16385, 24577,
];
const CODE_LENGTH_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u8) -> usize {
        (0..count).fold(0, |value, i| {
            let bit = self.bytes[self.at / 8] >> (self.at % 8) & 1;
            self.at += 1;
            value | usize::from(bit) << i
        })
    }

    fn align(&mut self) {
        self.at = self.at.div_ceil(8) * 8;
    }
}

/// A canonical Huffman code: how many codes of each length, and the symbols in their order.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[u8]) -> Self {
        let mut counts = [0; 16];
        lengths.iter().for_each(|len| counts[usize::from(*len)] += 1);
        counts[0] = 0;
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|s| lengths[*s] != 0).collect();
        symbols.sort_by_key(|symbol| lengths[*symbol]);
        Self { counts, symbols }
    }

    fn read(&self, bits: &mut Bits<'_>) -> usize {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.take(1);
            if code < first + count {
                return self.symbols[index + code - first];
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        panic!("no such code");
    }
}

/// The content of a zlib stream.
pub fn inflate(zlib: &[u8]) -> Vec<u8> {
    let mut bits = Bits { bytes: &zlib[2..], at: 0 };
    let mut out = Vec::new();
    loop {
        let last = bits.take(1) == 1;
        match bits.take(2) {
            0 => stored(&mut bits, &mut out),
            1 => {
                let lengths: Vec<u8> = (0..288)
                    .map(|symbol| match symbol {
                        144..=255 => 9,
                        256..=279 => 7,
                        _ => 8,
                    })
                    .collect();
                compressed(&mut bits, &mut out, &Code::new(&lengths), &Code::new(&[5; 30]));
            }
            2 => {
                let (literals, distances) = codes(&mut bits);
                compressed(&mut bits, &mut out, &literals, &distances);
            }
            _ => panic!("no such block"),
        }
        if last {
            return out;
        }
    }
}

fn stored(bits: &mut Bits<'_>, out: &mut Vec<u8>) {
    bits.align();
    let len = bits.take(16);
    bits.take(16);
    let start = bits.at / 8;
    out.extend_from_slice(&bits.bytes[start..start + len]);
    bits.at += len * 8;
}

fn codes(bits: &mut Bits<'_>) -> (Code, Code) {
    let literals = bits.take(5) + 257;
    let distances = bits.take(5) + 1;
    let count = bits.take(4) + 4;
    let mut lengths = [0; 19];
    CODE_LENGTH_ORDER[..count].iter().for_each(|at| lengths[*at] = bits.take(3) as u8);
    let code = Code::new(&lengths);
    let mut all: Vec<u8> = Vec::new();
    while all.len() < literals + distances {
        let (value, repeat) = match code.read(bits) {
            16 => (*all.last().expect("a length to repeat"), bits.take(2) + 3),
            17 => (0, bits.take(3) + 3),
            18 => (0, bits.take(7) + 11),
            len => (len as u8, 1),
        };
        all.extend(std::iter::repeat_n(value, repeat));
    }
    (Code::new(&all[..literals]), Code::new(&all[literals..]))
}

fn compressed(bits: &mut Bits<'_>, out: &mut Vec<u8>, literals: &Code, distances: &Code) {
    loop {
        match literals.read(bits) {
            256 => return,
            literal @ 0..=255 => out.push(literal as u8),
            symbol => {
                let at = symbol - 257;
                let len = usize::from(LEN_BASE[at]) + bits.take(LEN_EXTRA[at]);
                let at = distances.read(bits);
                let extra = (at / 2).saturating_sub(1) as u8;
                let distance = usize::from(DISTANCE_BASE[at]) + bits.take(extra);
                for _ in 0..len {
                    out.push(out[out.len() - distance]);
                }
            }
        }
    }
}
