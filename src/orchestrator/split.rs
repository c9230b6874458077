//! The canary's share: who, of all that would go to the legacy app, or to an extension, goes to the
//! canary.
//!
//! A sender stays on its side, because the share is decided by the same hash as a flag's
//! percentage; the salt `canary` keeps it independent of every flag. A weight of zero is no
//! canary at all, so taking one out of traffic is one number.

use crate::orchestrator::flags::{Key, Share};
use crate::units::Percent;

/// The name under which keys are hashed for the canary's share.
pub const SALT: &str = "canary";

/// A canary as it is asked on each request.
#[derive(Clone, Debug)]
pub struct Split<T> {
    share: Share,
    to: T,
}

impl<T> Split<T> {
    /// A split that gives `to` this share.
    pub fn new(weight: Percent, to: T) -> Self {
        Self { share: Share::new(SALT, weight), to }
    }

    /// The canary's side, whoever belongs there.
    pub fn to(&self) -> &T {
        &self.to
    }

    /// The canary's side, if `key` belongs there.
    pub fn side(&self, key: Key<'_>) -> Option<&T> {
        self.share.includes(key).then_some(&self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(weight: Percent) -> Split<()> {
        Split::new(weight, ())
    }

    #[test]
    fn a_sender_stays_on_its_side_and_the_share_is_kept() {
        let (tenth, quarter) = (split(Percent::whole(10)), split(Percent::whole(25)));
        let mut on_canary = 0;
        for sender in 0..10_000 {
            let sender = format!("sender-{sender}");
            let key = Key::Sticky(sender.as_bytes());
            on_canary += usize::from(tenth.side(key).is_some());
            assert_eq!(tenth.side(key), tenth.side(key));
            assert!(tenth.side(key).is_none() || quarter.side(key).is_some());
        }
        assert!((850..1150).contains(&on_canary), "{on_canary} of 10000 at 10%");
    }

    #[test]
    fn no_weight_is_no_canary_and_full_weight_is_everybody() {
        assert!(split(Percent::ZERO).side(Key::Random).is_none());
        assert!(split(Percent::ALL).side(Key::Random).is_some());
    }
}
