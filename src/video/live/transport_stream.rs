//! MPEG transport streams that were written in pieces.

use std::collections::HashMap;

/// Bytes of a packet (ISO/IEC 13818-1, 2.4.3.2).
const PACKET_BYTES: usize = 188;
/// The packet identifier of stuffing.
const NOTHING: u16 = 0x1fff;

/// The last counter of each packet identifier.
#[derive(Debug, Default)]
pub(super) struct Counters(HashMap<u16, u8>);

impl Counters {
    /// Makes a piece go on where the one before ended: each piece comes from a muxer of its own, which counts from its own beginning, and
    /// a player takes a step for a loss.
    pub fn go_on(&mut self, piece: &mut [u8]) {
        for packet in piece.chunks_exact_mut(PACKET_BYTES) {
            let id = u16::from_be_bytes([packet[1], packet[2]]) & 0x1fff;
            if packet[0] != 0x47 || id == NOTHING {
                continue;
            }
            let carries = packet[3] & 0x10 != 0;
            let counter = match self.0.get(&id) {
                // Only packets that carry something are counted.
                Some(&last) => (last + u8::from(carries)) & 0x0f,
                None => packet[3] & 0x0f,
            };
            packet[3] = packet[3] & 0xf0 | counter;
            self.0.insert(id, counter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_go_on() {
        let packet = |id: u16, carries: bool, counter: u8| {
            let mut packet = [0xff; PACKET_BYTES];
            packet[..4].copy_from_slice(&[0x47, 0x40 | (id >> 8) as u8, id as u8, 0x80 | u8::from(carries) << 4 | counter]);
            packet
        };
        let piece =
            || [packet(0, true, 0), packet(65, true, 0), packet(65, false, 0), packet(NOTHING, true, 9), packet(65, true, 1)].concat();
        let counted = |piece: &[u8]| piece.chunks(PACKET_BYTES).map(|packet| packet[3] & 0x0f).collect::<Vec<_>>();
        let mut counters = Counters::default();
        let (mut first, mut second) = (piece(), piece());
        counters.go_on(&mut first);
        counters.go_on(&mut second);
        assert_eq!(counted(&first), [0, 0, 0, 9, 1]);
        assert_eq!(counted(&second), [1, 2, 2, 9, 3]);
        assert_eq!(second[3] & 0xf0, 0x90, "nothing else is touched");
        for _ in 0..20 {
            counters.go_on(&mut second);
        }
        assert!(counted(&second).iter().all(|&counter| counter < 16));
    }
}
