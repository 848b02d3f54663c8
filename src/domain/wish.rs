//! What a worker can take on now: so many deliveries in all, and so many of each channel.
//!
//! A queue and a store are asked with it, so that a channel whose places are full is left alone without being
//! walked past. It knows nothing of places or providers.

use std::collections::VecDeque;

use super::channel::Name;

/// So many in all, and for some channels a number of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// At most so many in all.
    pub limit: usize,
    rooms: Vec<(Name, usize)>,
}

impl Wish {
    /// So many, of whatever channel.
    pub fn up_to(limit: usize) -> Self {
        let rooms = Vec::new();
        Self { limit, rooms }
    }

    /// The same with at most `room` of that channel; none at all leaves the channel alone.
    pub fn with(mut self, channel: Name, room: usize) -> Self {
        self.rooms.push((channel, room));
        self
    }

    /// Room for so many more, in all and of each channel that there is room for: for filling a queue.
    pub fn widened(mut self, more: usize) -> Self {
        self.limit += more;
        for (_, room) in &mut self.rooms {
            if *room > 0 {
                *room += more;
            }
        }
        self
    }

    /// How many of that channel; a channel that was not spoken of may fill the whole wish.
    pub fn room(&self, channel: &str) -> usize {
        let own = self.rooms.iter().find(|(name, _)| name.as_str() == channel);
        own.map_or(self.limit, |(_, room)| self.limit.min(*room))
    }

    /// Those that are wished for, in their order, and the rest.
    pub fn split<T>(&self, all: Vec<T>, channel: impl Fn(&T) -> &Name) -> (Vec<T>, Vec<T>) {
        let mut left = self.clone();
        all.into_iter().partition(|one| {
            let name = channel(one);
            let wanted = left.room(name.as_str()) > 0;
            if wanted {
                left.limit -= 1;
                if let Some((_, room)) = left.rooms.iter_mut().find(|(other, _)| other == name) {
                    *room -= 1;
                }
            }
            wanted
        })
    }

    /// The channels with a number of their own.
    pub fn rooms(&self) -> &[(Name, usize)] {
        &self.rooms
    }
}

/// Who takes deliveries on, and is asked again whenever there may be more of them.
pub trait Appetite: Send + Sync {
    /// What can be taken on now.
    fn wish(&self) -> Wish;
}

impl Appetite for Wish {
    fn wish(&self) -> Wish {
        self.clone()
    }
}

impl Appetite for usize {
    fn wish(&self) -> Wish {
        Wish::up_to(*self)
    }
}

/// One of each list in turn, each in its own order, at most `limit`.
pub fn in_turn<T>(lists: Vec<Vec<T>>, limit: usize) -> Vec<T> {
    let mut lists: VecDeque<_> = lists.into_iter().map(Vec::into_iter).collect();
    let mut taken = Vec::new();
    while taken.len() < limit
        && let Some(mut list) = lists.pop_front()
    {
        if let Some(one) = list.next() {
            taken.push(one);
            lists.push_back(list);
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_channel_gets_its_own_number_and_never_more_than_all() {
        let wish = Wish::up_to(5).with(name("sms"), 0).with(name("email"), 9);
        assert_eq!(
            (wish.room("sms"), wish.room("email"), wish.room("fax")),
            (0, 5, 5)
        );
        let wide = wish.widened(100);
        assert_eq!(
            (wide.room("sms"), wide.room("email"), wide.room("fax")),
            (0, 105, 105)
        );
    }

    #[test]
    fn what_is_wished_for_is_told_from_the_rest() {
        let all = || ["sms", "fax", "sms", "fax", "email"].map(name).to_vec();
        let split = |wish: Wish| {
            let (wanted, rest) = wish.split(all(), |name| name);
            (wanted.len(), rest.len())
        };
        assert_eq!(split(Wish::up_to(9).with(name("sms"), 1)), (4, 1));
        assert_eq!(split(Wish::up_to(2).with(name("sms"), 0)), (2, 3));
        assert_eq!(split(Wish::up_to(0)), (0, 5));
    }

    #[test]
    fn lists_take_turns_until_the_limit() {
        let lists = || vec![vec![1, 2, 3, 4], vec![], vec![11], vec![21, 22]];
        assert_eq!(in_turn(lists(), 99), [1, 11, 21, 2, 22, 3, 4]);
        assert_eq!(in_turn(lists(), 4), [1, 11, 21, 2]);
        assert_eq!(in_turn(lists(), 0), [0; 0]);
    }
}
