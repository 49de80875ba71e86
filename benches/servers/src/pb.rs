//! As much protobuf as a load client and pre-encoded frames need: no generated type is built or
//! dropped for a message.

/// Appends a varint.
pub fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a length-delimited field.
pub fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    varint(out, u64::from(field << 3 | 2));
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a varint field.
pub fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    varint(out, u64::from(field << 3));
    varint(out, value);
}

/// A length-delimited field whose content `fill` writes.
pub fn message(out: &mut Vec<u8>, field: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    fill(&mut inner);
    bytes(out, field, &inner);
}

/// The length-delimited fields of a message, in their order; others are passed over. Ends early
/// where the message is broken.
#[derive(Debug)]
pub struct Fields<'a>(&'a [u8]);

/// The fields of `message`.
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields(message)
}

/// The first field with this number, or nothing.
pub fn field(message: &[u8], number: u32) -> &[u8] {
    let mut found = fields(message).filter(|(field, _)| *field == number);
    found.next().map_or(&[], |(_, value)| value)
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<(u32, &'a [u8])> {
        loop {
            let key = self.varint()?;
            let skip = match key & 7 {
                0 => {
                    self.varint()?;
                    continue;
                }
                1 => 8,
                5 => 4,
                2 => usize::try_from(self.varint()?).ok()?,
                _ => return None,
            };
            let (value, rest) = self.0.split_at_checked(skip)?;
            self.0 = rest;
            if key & 7 == 2 {
                return Some((u32::try_from(key >> 3).ok()?, value));
            }
        }
    }
}

impl Fields<'_> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}
