//! Sizes that may hold the batch size.

use std::cmp::Ordering;
use std::fmt;

/// `fixed + per_batch * N`, where N, the batch size, is 1 or more and not known when a network is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dim {
    /// The part that does not depend on N.
    pub fixed: i64,
    /// The factor of N.
    pub per_batch: i64,
}

impl Dim {
    /// N itself.
    pub const BATCH: Dim = Dim { fixed: 0, per_batch: 1 };

    /// A size that does not depend on N.
    pub const fn of(fixed: i64) -> Self {
        Self { fixed, per_batch: 0 }
    }

    /// The number, where it does not depend on N.
    pub fn as_fixed(self) -> Option<i64> {
        (self.per_batch == 0).then_some(self.fixed)
    }

    /// The number for a batch of `n`; at i64's ends it stays there.
    pub fn resolve(self, n: i64) -> i64 {
        self.fixed.saturating_add(self.per_batch.saturating_mul(n))
    }

    /// The sum; `None` beyond i64.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self { fixed: self.fixed.checked_add(other.fixed)?, per_batch: self.per_batch.checked_add(other.per_batch)? })
    }

    /// The difference; `None` beyond i64.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        Some(Self { fixed: self.fixed.checked_sub(other.fixed)?, per_batch: self.per_batch.checked_sub(other.per_batch)? })
    }

    /// The product; `None` beyond i64 and where it would hold N squared.
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        if self.per_batch != 0 && other.per_batch != 0 {
            return None;
        }
        let one = self.fixed.checked_mul(other.per_batch)?;
        let per_batch = one.checked_add(self.per_batch.checked_mul(other.fixed)?)?;
        Some(Self { fixed: self.fixed.checked_mul(other.fixed)?, per_batch })
    }

    /// The quotient where it is a whole number whatever N is, else `None`; also for a divisor that may be 0.
    pub fn checked_div(self, other: Self) -> Option<Self> {
        if let Some(divisor) = other.as_fixed() {
            let whole = |part: i64| (part.checked_rem(divisor)? == 0).then(|| part / divisor);
            return Some(Self { fixed: whole(self.fixed)?, per_batch: whole(self.per_batch)? });
        }
        // Only a multiple of the divisor as a whole: 6N / 2N = 3.
        let factor = self.per_batch.checked_div(other.per_batch)?;
        let factor = Self::of(factor);
        let never_zero = other.compare(Self::of(0)).is_some_and(Ordering::is_ne);
        (never_zero && other.checked_mul(factor)? == self).then_some(factor)
    }

    /// How the two compare, where that is the same for every N from 1 on.
    pub fn compare(self, other: Self) -> Option<Ordering> {
        let difference = self.checked_sub(other)?;
        // Linear in N, so its sign is settled by that at N = 1 when it grows away from 0.
        let first = difference.fixed.checked_add(difference.per_batch)?;
        match (first.cmp(&0), difference.per_batch.cmp(&0)) {
            (sign, Ordering::Equal) => Some(sign),
            (sign, slope) if sign == slope => Some(sign),
            _ => None,
        }
    }

    /// True when it is at least `other` for every N from 1 on.
    pub fn never_below(self, other: Self) -> bool {
        let above = self.checked_sub(other);
        above.is_some_and(|d| d.per_batch >= 0 && d.fixed.checked_add(d.per_batch).is_some_and(|first| first >= 0))
    }

    /// Whether the two are the same: for every N from 1 on, for none, or (`None`) for some only.
    pub fn equals(self, other: Self) -> Option<bool> {
        let difference = self.checked_sub(other)?;
        if difference.per_batch == 0 {
            return Some(difference.fixed == 0);
        }
        let zero_at = difference.fixed.checked_neg()?;
        let meets = zero_at.checked_rem(difference.per_batch)? == 0 && zero_at.checked_div(difference.per_batch)? >= 1;
        if meets { None } else { Some(false) }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.fixed, self.per_batch) {
            (fixed, 0) => return write!(f, "{fixed}"),
            (0, _) => {}
            (fixed, _) => write!(f, "{fixed}+")?,
        }
        match self.per_batch {
            1 => write!(f, "N"),
            -1 => write!(f, "-N"),
            factor => write!(f, "{factor}N"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn dim(fixed: i64, per_batch: i64) -> Dim {
        Dim { fixed, per_batch }
    }

    #[test]
    fn shown_as_people_write_it() {
        let shown = [dim(7, 0), dim(0, 1), dim(0, 3), dim(0, -1), dim(2, 3), dim(0, 0), dim(-4, 0)].map(|d| d.to_string());
        assert_eq!(shown, ["7", "N", "3N", "-N", "2+3N", "0", "-4"]);
    }

    #[test]
    fn arithmetic_is_that_of_numbers_for_every_batch() {
        let some: Vec<Dim> = [-3, -1, 0, 1, 2, 6].into_iter().flat_map(|f| [-2, 0, 1, 4].map(|p| dim(f, p))).collect();
        for &a in &some {
            for &b in &some {
                for n in 1..6 {
                    let (x, y) = (a.resolve(n), b.resolve(n));
                    assert_eq!(a.checked_add(b).map(|d| d.resolve(n)), Some(x + y));
                    assert_eq!(a.checked_sub(b).map(|d| d.resolve(n)), Some(x - y));
                    assert!(a.checked_mul(b).is_none_or(|d| d.resolve(n) == x * y), "{a} * {b}");
                    assert!(a.checked_div(b).is_none_or(|d| y != 0 && d.resolve(n) * y == x), "{a} / {b}");
                    assert!(a.compare(b).is_none_or(|o| o == x.cmp(&y)), "{a} ? {b}");
                    assert!(!a.never_below(b) || x >= y, "{a} >= {b}");
                    assert!(a.equals(b).is_none_or(|e| e == (x == y)), "{a} = {b}");
                }
            }
        }
        assert_eq!(dim(0, 6).checked_div(dim(0, 2)), Some(Dim::of(3)));
        assert_eq!(dim(4, 6).checked_div(Dim::of(2)), Some(dim(2, 3)));
        assert_eq!(dim(3, 6).checked_div(Dim::of(2)), None);
        assert_eq!(Dim::BATCH.checked_mul(Dim::BATCH), None);
        assert_eq!(Dim::BATCH.equals(Dim::of(-1)), Some(false));
        assert_eq!(Dim::BATCH.equals(Dim::of(1)), None);
        assert_eq!(Dim::BATCH.compare(Dim::of(0)), Some(Ordering::Greater));
    }

    #[test]
    fn beyond_i64_is_none() {
        assert_eq!(Dim::of(i64::MAX).checked_add(Dim::of(1)), None);
        assert_eq!(Dim::of(i64::MIN).checked_sub(Dim::of(1)), None);
        assert_eq!(Dim::of(i64::MIN).checked_mul(Dim::of(-1)), None);
        assert_eq!(Dim::of(i64::MIN).checked_div(Dim::of(-1)), None);
        assert_eq!(Dim::of(1).checked_div(Dim::of(0)), None);
        assert_eq!(Dim::of(i64::MIN).compare(Dim::of(1)), None);
        assert_eq!(dim(1, i64::MAX).resolve(i64::MAX), i64::MAX);
    }
}
