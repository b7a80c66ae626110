//! What a host or device is judged for.

use crate::bindings::exports::slotwise::policy::api;

/// The workload that is to be placed, and what the caller knows about it.
///
/// ```
/// use slotwise_policy::Query;
///
/// /// How many devices the workload wants, if it gets what it asks for first.
/// fn wanted(query: &Query) -> u32 {
///     query.requests().filter_map(|request| request.wants().next()).map(|want| want.count()).sum()
/// }
///
/// // In the tests of a policy; the scheduler hands over the workload's requests, too.
/// let query = Query::of([("project_id", "web")]);
/// assert_eq!(query.fact("project_id"), Some("web"));
/// assert_eq!(query.fact("user_id"), None);
/// assert_eq!(wanted(&query), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Query {
    requests: Vec<api::Request>,
    facts: Vec<(String, Option<String>)>,
}

/// One request of the workload.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a>(&'a api::Request);

/// A count of devices of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Want<'a>(&'a api::Want);

/// Keys and values, which may be null.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a>(&'a [(String, Option<String>)]);

impl Query {
    /// A query without requests, with these facts: for the tests of a policy.
    pub fn of<'a>(facts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let facts = facts.into_iter().map(|(key, value)| (key.to_owned(), Some(value.to_owned())));
        Query { requests: Vec::new(), facts: facts.collect() }
    }

    /// What the caller knows about the workload under this name: project, flavor, user; `None` when it is absent or null,
    /// and unless the scope names [`crate::Scope::FACTS`].
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts().get(name)
    }

    /// All that the caller knows about the workload; nothing unless the scope names [`crate::Scope::FACTS`].
    #[must_use]
    pub fn facts(&self) -> Attributes<'_> {
        Attributes(&self.facts)
    }

    /// The requests, all of which must be served; none unless the scope names [`crate::Scope::REQUESTS`].
    pub fn requests(&self) -> impl ExactSizeIterator<Item = Request<'_>> {
        self.requests.iter().map(Request)
    }
}

impl Default for Query {
    /// No requests and no facts.
    fn default() -> Self {
        Query::of([])
    }
}

impl From<api::Query> for Query {
    fn from(query: api::Query) -> Self {
        Query { requests: query.requests.unwrap_or_default(), facts: query.facts.unwrap_or_default() }
    }
}

impl<'a> Request<'a> {
    /// Its name.
    #[must_use]
    pub fn id(self) -> Option<&'a str> {
        self.0.request_id.as_deref()
    }

    /// Who asks: a port, a NIC, a container.
    #[must_use]
    pub fn requester_id(self) -> Option<&'a str> {
        self.0.requester_id.as_deref()
    }

    /// The alias it was made from.
    #[must_use]
    pub fn alias_name(self) -> Option<&'a str> {
        self.0.alias_name.as_deref()
    }

    /// What it asks for, and after that what it takes instead, best first.
    pub fn wants(self) -> impl ExactSizeIterator<Item = Want<'a>> {
        self.0.wants.iter().map(Want)
    }
}

impl<'a> Want<'a> {
    /// How many devices.
    #[must_use]
    pub fn count(self) -> u32 {
        self.0.count
    }

    /// What a device may look like: all entries of at least one of these.
    pub fn alternatives(self) -> impl ExactSizeIterator<Item = Attributes<'a>> {
        self.0.alternatives.iter().map(|alternative| Attributes(alternative))
    }
}

impl<'a> Attributes<'a> {
    /// The value under this key; `None` when there is none or it is null.
    #[must_use]
    pub fn get(self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known == key).and_then(|(_, value)| value.as_deref())
    }

    /// All of them, ordered by key.
    pub fn iter(self) -> impl ExactSizeIterator<Item = (&'a str, Option<&'a str>)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_deref()))
    }
}
