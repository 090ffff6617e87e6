//! Routes: the entries of `routing.routes` in their valid form. Who is asked, and in which order, is decided in `plan.rs`.

/// A public name behind which several models stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What clients put into `model`. Where a model has this id, the route takes its place.
    pub name: Box<str>,
    /// Who may answer, in the file's order: at least one, at least one of them no canary, their models distinct.
    pub candidates: Vec<Candidate>,
    /// Whether the operator wants no local candidate here; see [`crate::review`].
    pub cloud_only: bool,
    /// The line of `routing.yaml` where it stands, counted from 1.
    pub line: usize,
}

/// A model that may answer for a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// An id of `models.yml`; never a route, so that routes lead nowhere but to models.
    pub model: Box<str>,
    /// Its share of the requests beside those of the same order, from 1 to 1000.
    pub weight: u32,
    /// Those of lower order are asked first; from 1 to 100.
    pub order: u32,
    /// Where it takes part only as canary: of how many requests in a hundred, of which it is asked first.
    pub canary_percent: Option<u8>,
    /// Where it stands in `routing.yaml`: its line, counted from 1.
    pub line: usize,
}
