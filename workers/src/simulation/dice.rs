//! Chance that can be repeated: every draw follows from the seed and from what it is drawn for.

use std::time::Duration;

/// A short sequence of draws.
#[derive(Clone, Debug)]
pub struct Dice(u64);

/// One step of splitmix64: a cheap permutation with good mixing.
const fn mixed(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Dice {
    /// The draws for `what`: the same numbers give the same draws, whatever else was drawn before.
    pub fn of(seed: u64, what: &[u64]) -> Self {
        Self(what.iter().fold(mixed(seed), |state, part| mixed(state ^ mixed(*part))))
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mixed(self.0) % end.max(1)
    }

    /// True once in so many times; never for 0.
    pub fn once_in(&mut self, times: u64) -> bool {
        let drawn = self.below(times);
        times > 0 && drawn == 0
    }

    /// A time from `least` to `most`, in milliseconds.
    pub fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least + 1))
    }
}

/// A number that names a text.
pub fn named(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
