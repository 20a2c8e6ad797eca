//! Clients that are alike.

/// Clients that differ in nothing but who they are and what they write.
///
/// Those of one party change places with those of another: the first with the first, the second
/// with the second. What names them in a state changes places with them: the values, of the types
/// listed here, that the script of one has where the script of the other has another. So no step
/// may ask more of such values than which is which (Ip and Dill 1996 call their type a
/// scalarset), or, of payloads, which of them have been added up (Wolper 1986: data
/// independence).
#[derive(Clone, Copy, Debug, Default)]
pub struct Parties {
    /// The parties, each a list of clients: of their positions among the scripts.
    pub clients: &'static [&'static [usize]],
    /// The types of names, of sessions for one, as `derive(Serialize)` calls them.
    pub names: &'static [&'static str],
    /// The types of what is written, and of what comes of it, as `derive(Serialize)` calls them:
    /// newtypes of an unsigned number that has a bit for each payload.
    pub payloads: &'static [&'static str],
}
