//! Pointers between pages that survive a crash: two slots, of which the one with the newest checkpointed value is never
//! overwritten.

use std::fmt;

use super::page::{id48, id48_bytes};

/// The two generations that decide which of a pointer's slots counts.
///
/// Everything written with a generation up to `stable` survived a checkpoint. `unstable` is the one in which changes
/// are made. What lies between belongs to a session that crashed. Specification: gbptree 1.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generations {
    /// Of the last checkpoint.
    pub stable: u32,
    /// Of changes since then; always greater than `stable`.
    pub unstable: u32,
}

/// What a slot is worth. Specification: gbptree 3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Written before the last checkpoint.
    Stable,
    /// Written since the last checkpoint.
    Unstable,
    /// Written by a session that ended without a checkpoint.
    Crash,
    /// Its checksum is wrong.
    Broken,
    /// Never written.
    Empty,
}

impl SlotState {
    /// The number that stands for the state in reports of the structure check.
    pub fn code(self) -> u8 {
        match self {
            Self::Stable => 0,
            Self::Unstable => 1,
            Self::Crash => 2,
            Self::Broken => 3,
            Self::Empty => 4,
        }
    }
}

/// One slot of a pointer.
///
/// | Offset | Size | Field                                                       |
/// |-------:|-----:|-------------------------------------------------------------|
/// |      0 |    4 | generation in which it was written                          |
/// |      4 |    6 | page id: low 32 bits, then high 16 bits; 0 = no page        |
/// |     10 |    2 | checksum: exclusive or of the 16-bit words before it        |
///
/// Specification: gbptree 3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Generation in which it was written; 0 when it never was.
    pub generation: u32,
    /// Page id, 48 bits; 0 = no page.
    pub page: u64,
    /// As stored, right or wrong.
    pub checksum: u16,
}

impl Slot {
    /// Bytes of a slot.
    pub const SIZE: usize = 12;

    /// A slot with its checksum.
    pub fn new(generation: u32, page: u64) -> Self {
        Self { generation, page, checksum: checksum(generation, page) }
    }

    /// Takes the bytes as they are; [`state`](Self::state) tells what they are worth.
    pub fn decode(bytes: &[u8; Self::SIZE]) -> Self {
        let [g0, g1, g2, g3, page @ .., s0, s1] = *bytes;
        Self {
            generation: u32::from_be_bytes([g0, g1, g2, g3]),
            page: id48(page),
            checksum: u16::from_be_bytes([s0, s1]),
        }
    }

    /// The exact reverse.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let [g0, g1, g2, g3] = self.generation.to_be_bytes();
        let [l0, l1, l2, l3, h0, h1] = id48_bytes(self.page);
        let [s0, s1] = self.checksum.to_be_bytes();
        [g0, g1, g2, g3, l0, l1, l2, l3, h0, h1, s0, s1]
    }

    /// What the slot is worth under these generations. Specification: gbptree 3.2, in this order.
    pub fn state(&self, generations: Generations) -> SlotState {
        if self.generation == 0 && self.page == 0 {
            SlotState::Empty
        } else if self.checksum != checksum(self.generation, self.page) || self.generation == 0 {
            SlotState::Broken
        } else if self.generation <= generations.stable {
            SlotState::Stable
        } else if self.generation == generations.unstable {
            SlotState::Unstable
        } else {
            SlotState::Crash
        }
    }
}

fn checksum(generation: u32, page: u64) -> u16 {
    let [g0, g1, g2, g3] = generation.to_be_bytes();
    let [_, _, p0, p1, p2, p3, p4, p5] = page.to_be_bytes();
    [[g0, g1], [g2, g3], [p0, p1], [p2, p3], [p4, p5]]
        .into_iter()
        .map(u16::from_be_bytes)
        .fold(0, |sum, word| sum ^ word)
}

/// No slot of a pointer can be read, or none may be overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PointerError {
    /// The slots with what each is worth.
    pub slots: [(Slot, SlotState); 2],
    /// Under which generations.
    pub generations: Generations,
    /// Whether it was to be written.
    pub writing: bool,
}

impl fmt::Display for PointerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = &self.slots;
        let what = if self.writing { "no slot may be overwritten" } else { "no slot is readable" };
        write!(f, "{what}: ")?;
        for (name, (slot, state)) in [("A", a), (", B", b)] {
            write!(f, "{name} {state:?} generation {} page {}", slot.generation, slot.page)?;
        }
        let Generations { stable, unstable } = self.generations;
        write!(f, "; stable generation {stable}, unstable generation {unstable}")
    }
}

/// A page id and the generation in which it was written; page 0 = none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Page id.
    pub page: u64,
    /// Generation of the slot that holds it.
    pub generation: u32,
}

/// A pointer to a page: two slots.
///
/// | Offset | Size | Field  |
/// |-------:|-----:|--------|
/// |      0 |   12 | slot A |
/// |     12 |   12 | slot B |
///
/// Specification: gbptree 3.2, 3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// Slot A.
    pub a: Slot,
    /// Slot B.
    pub b: Slot,
}

impl Pointer {
    /// Bytes of a pointer.
    pub const SIZE: usize = 24;

    /// A pointer in a page that nobody has seen yet.
    pub fn fresh(generation: u32, page: u64) -> Self {
        Self { a: Slot::new(generation, page), b: Slot { generation: 0, page: 0, checksum: 0 } }
    }

    /// Takes the bytes as they are.
    pub fn decode(bytes: &[u8; Self::SIZE]) -> Self {
        let ([a, b], _) = bytes.as_chunks::<{ Slot::SIZE }>() else {
            return Self::fresh(0, 0);
        };
        Self { a: Slot::decode(a), b: Slot::decode(b) }
    }

    /// The exact reverse.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        for (place, slot) in bytes.as_chunks_mut::<{ Slot::SIZE }>().0.iter_mut().zip([self.a, self.b]) {
            *place = slot.encode();
        }
        bytes
    }

    /// Which page it points to. Specification: gbptree 3.3, "Read".
    pub fn read(&self, generations: Generations) -> Result<Target, PointerError> {
        use SlotState::{Broken, Crash, Empty, Stable, Unstable};
        let (a, b) = (self.a.state(generations), self.b.state(generations));
        let slot = match (a, b) {
            (Unstable, Stable | Empty) | (Stable, Empty | Broken | Crash) => self.a,
            (Stable | Empty, Unstable) | (Empty | Broken | Crash, Stable) => self.b,
            (Stable, Stable) if self.a.generation > self.b.generation => self.a,
            (Stable, Stable) if self.a.generation < self.b.generation => self.b,
            _ => return Err(self.error(generations, false)),
        };
        Ok(Target { page: slot.page, generation: slot.generation })
    }

    /// Points it to another page, in the unstable generation. Specification: gbptree 3.3, "Write".
    pub fn write(&mut self, generations: Generations, page: u64) -> Result<(), PointerError> {
        use SlotState::{Empty, Stable, Unstable};
        let (a, b) = (self.a.state(generations), self.b.state(generations));
        let slot = match (a, b) {
            (Stable, Stable) if self.a.generation < self.b.generation => &mut self.a,
            (Stable, Stable) if self.a.generation > self.b.generation => &mut self.b,
            (Stable, Stable) => return Err(self.error(generations, true)),
            (Stable, _) | (Empty, Unstable) => &mut self.b,
            (_, Stable) | (Unstable | Empty, Empty) => &mut self.a,
            _ => return Err(self.error(generations, true)),
        };
        *slot = Slot::new(generations.unstable, page);
        Ok(())
    }

    /// Empties the slots that a crashed session wrote, whatever their checksum; whether there were any.
    /// Specification: gbptree 3.4.
    ///
    /// Beyond that it empties a slot that was torn while it was written, with a good one beside it: it is read as absent
    /// anyway, but the structure check would report it.
    pub fn clean(&mut self, generations: Generations) -> bool {
        let states = [self.a, self.b].map(|slot| slot.state(generations));
        let mut cleaned = false;
        for slot in [&mut self.a, &mut self.b] {
            let crashed = slot.generation > generations.stable && slot.generation < generations.unstable;
            let torn = slot.state(generations) == SlotState::Broken && states.contains(&SlotState::Stable);
            if crashed || torn {
                *slot = Slot { generation: 0, page: 0, checksum: 0 };
                cleaned = true;
            }
        }
        cleaned
    }

    fn error(&self, generations: Generations, writing: bool) -> PointerError {
        let slots = [self.a, self.b].map(|slot| (slot, slot.state(generations)));
        PointerError { slots, generations, writing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATIONS: Generations = Generations { stable: 5, unstable: 9 };

    fn slot(state: SlotState) -> Slot {
        match state {
            SlotState::Stable => Slot::new(4, 40),
            SlotState::Unstable => Slot::new(9, 90),
            SlotState::Crash => Slot::new(7, 70),
            SlotState::Broken => Slot { checksum: 1, ..Slot::new(5, 50) },
            SlotState::Empty => Slot { generation: 0, page: 0, checksum: 77 },
        }
    }

    #[test]
    fn slots_are_read_as_in_the_specification() {
        let bytes = [0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 1];
        let slot = Slot::decode(&bytes);
        assert_eq!(slot, Slot::new(4, 5));
        assert_eq!(slot.encode(), bytes);
        assert_eq!(Slot::new(2, 0).encode(), [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2]);
        let far = Slot::new(0x0102_0304, 0x12_3456_789a);
        assert_eq!(far.checksum, 0x0102 ^ 0x0304 ^ 0x0012 ^ 0x3456 ^ 0x789a);
        assert_eq!(Slot::decode(&far.encode()), far);
    }

    #[test]
    fn every_pair_of_slots_reads_and_writes_as_in_the_specification() {
        use SlotState::{Broken, Crash, Empty, Stable, Unstable};
        // (A, B, slot read, slot written)
        let table = [
            (Unstable, Stable, "A", "A"),
            (Unstable, Empty, "A", "A"),
            (Stable, Unstable, "B", "B"),
            (Empty, Unstable, "B", "B"),
            (Stable, Empty, "A", "B"),
            (Stable, Broken, "A", "B"),
            (Stable, Crash, "A", "B"),
            (Empty, Stable, "B", "A"),
            (Broken, Stable, "B", "A"),
            (Crash, Stable, "B", "A"),
            (Empty, Empty, "", "A"),
            (Stable, Stable, "", ""),
            (Unstable, Unstable, "", ""),
            (Unstable, Broken, "", ""),
            (Unstable, Crash, "", ""),
            (Broken, Unstable, "", ""),
            (Crash, Unstable, "", ""),
            (Broken, Broken, "", ""),
            (Broken, Crash, "", ""),
            (Broken, Empty, "", ""),
            (Crash, Broken, "", ""),
            (Crash, Crash, "", ""),
            (Crash, Empty, "", ""),
            (Empty, Broken, "", ""),
            (Empty, Crash, "", ""),
        ];
        for (a, b, read, written) in table {
            let pointer = Pointer { a: slot(a), b: slot(b) };
            assert_eq!(pointer.a.state(GENERATIONS), a);
            let got = match pointer.read(GENERATIONS) {
                Ok(target) if target.page == pointer.a.page => "A",
                Ok(_) => "B",
                Err(_) => "",
            };
            assert_eq!(got, read, "reading {a:?} {b:?}");
            let mut changed = pointer;
            let got = match changed.write(GENERATIONS, 123) {
                Ok(()) if changed.a == Slot::new(9, 123) && changed.b == pointer.b => "A",
                Ok(()) if changed.b == Slot::new(9, 123) && changed.a == pointer.a => "B",
                Ok(()) => "neither",
                Err(_) => "",
            };
            assert_eq!(got, written, "writing {a:?} {b:?}");
            assert_eq!(Pointer::decode(&changed.encode()), changed);
        }
    }

    #[test]
    fn of_two_stable_slots_the_newer_is_read_and_the_older_written() {
        let mut pointer = Pointer { a: Slot::new(3, 30), b: Slot::new(2, 20) };
        assert_eq!(pointer.read(GENERATIONS).unwrap(), Target { page: 30, generation: 3 });
        pointer.write(GENERATIONS, 31).unwrap();
        assert_eq!(pointer, Pointer { a: Slot::new(3, 30), b: Slot::new(9, 31) });
    }

    #[test]
    fn only_what_a_crash_left_is_cleaned() {
        let mut pointer = Pointer { a: slot(SlotState::Stable), b: slot(SlotState::Crash) };
        assert!(pointer.clean(GENERATIONS));
        assert_eq!(pointer.encode()[12..], [0; 12]);
        let mut pointer = Pointer { a: slot(SlotState::Broken), b: slot(SlotState::Stable) };
        assert!(pointer.clean(GENERATIONS));
        assert_eq!(pointer.encode()[..12], [0; 12]);
        for other in [SlotState::Stable, SlotState::Unstable, SlotState::Broken] {
            let mut pointer = Pointer { a: slot(SlotState::Unstable), b: slot(other) };
            assert!(!pointer.clean(GENERATIONS));
        }
    }
}
