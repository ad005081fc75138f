//! Tests of formats: recorded envelopes of distribution, and the rules by which receivers read each format.

mod chats;
mod events;
mod receivers;
mod recorded;
