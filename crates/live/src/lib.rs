//! Live push over Redis: what is told to a user after a commit, and the feed from which a gateway hears it. Best effort with a
//! memory: whoever may have missed something is told since when, and asks the service, whose database is the truth.

mod feed;
mod push;
mod tickets;

pub use feed::{Feed, News, Untaken};
pub use push::{Push, Pusher, push};
pub use tickets::{Ticket, TicketError, Tickets};
