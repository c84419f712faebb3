//! Search algorithms that go by a score: random search, regularized evolution, and AREA (Mellor et al., 2021).

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use crate::random::{Domain, Rng};
use crate::{Architecture, Error, Result, Space};

/// How often a candidate is drawn again before a search gives up, or evolution gives up on a parent.
const ATTEMPTS: usize = 10_000;
const MUTATIONS: usize = 100;

/// A space that can be searched: its candidates can be drawn, and have neighbors.
///
/// Implemented by [`Candidates`] for architectures; anything else works alike:
///
/// ```
/// use naswot::analysis::{SearchSpace, Searcher};
///
/// /// Bytes; a neighbor differs in one bit.
/// struct Bytes;
///
/// impl SearchSpace for Bytes {
///     type Candidate = u8;
///     fn draw(&self, seed: u64) -> u8 {
///         seed as u8
///     }
///     fn mutate(&self, parent: &u8, seed: u64) -> Option<u8> {
///         Some(parent ^ 1 << (seed % 8))
///     }
/// }
///
/// let ones = |bytes: &[u8]| Ok(bytes.iter().map(|byte| f64::from(byte.count_ones())).collect());
/// let found = Searcher::new(&Bytes, 200).evolution(ones)?;
/// assert_eq!((found.best, found.value), (255, 8.0));
/// # Ok::<(), naswot::Error>(())
/// ```
pub trait SearchSpace {
    /// The type of its candidates.
    type Candidate: Clone;

    /// A candidate drawn uniformly; equal seeds draw equal ones.
    fn draw(&self, seed: u64) -> Self::Candidate;

    /// A random neighbor; none for a candidate that has none.
    fn mutate(&self, parent: &Self::Candidate, seed: u64) -> Option<Self::Candidate>;
}

/// The architectures of a space that a search may find: all of them, or some.
#[derive(Clone, Debug)]
pub struct Candidates {
    architectures: Vec<Architecture>,
    positions: HashMap<Architecture, usize>,
}

impl Candidates {
    /// Every architecture of a space.
    ///
    /// ```
    /// use naswot::{Space, analysis::Candidates};
    ///
    /// let candidates = Candidates::all(Space::NasBench201)?;
    /// assert_eq!(candidates.architectures().len(), 15_625);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Space::all`].
    pub fn all(space: Space) -> Result<Self> {
        space.all().map(Self::different)
    }

    /// Some architectures, in their order; those that come again are dropped.
    ///
    /// # Errors
    /// [`Error::Search`] where there is none.
    pub fn of(architectures: impl IntoIterator<Item = Architecture>) -> Result<Self> {
        let candidates = Self::different(architectures);
        if candidates.architectures.is_empty() {
            return Err(Error::Search { message: "there are no candidates".to_owned() });
        }
        Ok(candidates)
    }

    fn different(architectures: impl IntoIterator<Item = Architecture>) -> Self {
        let mut candidates = Candidates { architectures: Vec::new(), positions: HashMap::new() };
        for architecture in architectures {
            if let Entry::Vacant(position) = candidates.positions.entry(architecture) {
                candidates.architectures.push(position.key().clone());
                position.insert(candidates.architectures.len() - 1);
            }
        }
        candidates
    }

    /// All candidates in their order.
    pub fn architectures(&self) -> &[Architecture] {
        &self.architectures
    }

    /// Where a candidate stands among them.
    pub fn position(&self, architecture: &Architecture) -> Option<usize> {
        self.positions.get(architecture).copied()
    }
}

impl SearchSpace for Candidates {
    type Candidate = Architecture;

    fn draw(&self, seed: u64) -> Architecture {
        let mut rng = Rng::new(seed, Domain::Sampling, "search/candidates");
        self.architectures[rng.below(self.architectures.len() as u32) as usize].clone()
    }

    /// A neighbor ([`Architecture::mutate`]) that is a candidate; none where a hundred mutations were not.
    fn mutate(&self, parent: &Architecture, seed: u64) -> Option<Architecture> {
        let mut rng = Rng::new(seed, Domain::Sampling, "search/mutation");
        let mutants = (0..MUTATIONS).map_while(|_| parent.mutate(rng.next_u64()));
        mutants.into_iter().find(|mutant| self.positions.contains_key(mutant))
    }
}

/// A search, with its settings.
///
/// Scores and evaluations come from closures that take a slice of candidates and return a value for each, the larger
/// the better and never NaN; minus infinity is the lowest.
///
/// ```
/// use naswot::analysis::{Candidates, Searcher};
/// use naswot::{Architecture, Batch, Scorer, SkeletonSettings, Space};
///
/// let scorer = Scorer::builder(Batch::synthetic(4, 0)?).build()?;
/// let small = SkeletonSettings { stem: Some(4), cells: Some(1) };
/// let score = |cells: &[Architecture]| {
///     let networks = cells.iter().map(|cell| cell.network(&small)).collect::<Result<Vec<_>, _>>()?;
///     scorer.score_all(&networks).into_iter().map(|score| Ok(score?.log_det)).collect()
/// };
/// let candidates = Candidates::all(Space::NasBench201)?;
/// let found = Searcher::new(&candidates, 20).random(score)?;
/// println!("{} {:.2}", found.best.arch(), found.value);
/// # Ok::<(), naswot::Error>(())
/// ```
pub struct Searcher<'a, S: SearchSpace> {
    space: &'a S,
    samples: usize,
    seed: u64,
    run: usize,
    population: usize,
    tournament: usize,
    initial: usize,
    admits: Admits<'a, S::Candidate>,
}

/// The test of which candidates may be looked at.
type Admits<'a, C> = Box<dyn Fn(&C) -> Result<bool> + 'a>;

/// The result of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<C> {
    /// The first candidate of the largest value.
    pub best: C,
    /// Its value: its score, or with AREA its evaluation.
    pub value: f64,
    /// Everything that was scored, with AREA evaluated, in order.
    pub history: Vec<(C, f64)>,
}

impl<'a, S: SearchSpace> Searcher<'a, S> {
    /// A search that scores (AREA: evaluates) so many candidates. Seed and run are 0, population and tournament 10 and
    /// 5, and all candidates are admitted, if nothing else is said.
    pub fn new(space: &'a S, samples: usize) -> Self {
        let admits = Box::new(|_: &S::Candidate| Ok(true));
        Searcher { space, samples, seed: 0, run: 0, population: 10, tournament: 5, initial: 20, admits }
    }

    /// Equal seeds and runs search alike.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Searcher { seed, ..self }
    }

    /// Number of the run: another one draws other candidates under the same seed.
    #[must_use]
    pub fn run(self, run: usize) -> Self {
        Searcher { run, ..self }
    }

    /// Candidates that evolution keeps, and how many it draws from them, with replacement, to take the best as a parent.
    #[must_use]
    pub fn population(self, population: usize, tournament: usize) -> Self {
        Searcher { population, tournament, ..self }
    }

    /// Candidates that AREA scores before it evaluates the best of them; 20 in the paper.
    #[must_use]
    pub fn initial(self, initial: usize) -> Self {
        Searcher { initial, ..self }
    }

    /// Which candidates may be looked at, by their parameters, say.
    #[must_use]
    pub fn admit(self, admits: impl Fn(&S::Candidate) -> Result<bool> + 'a) -> Self {
        Searcher { admits: Box::new(admits), ..self }
    }

    /// Draws the candidates with replacement and keeps the one of the highest score.
    ///
    /// # Errors
    /// [`Error::Search`] when a setting is zero, no admitted candidate can be drawn or a score is NaN; errors of the
    /// closures.
    pub fn random(
        &self,
        mut score: impl FnMut(&[S::Candidate]) -> Result<Vec<f64>>,
    ) -> Result<Found<S::Candidate>> {
        let mut rng = self.start()?;
        let drawn = self.draw_all(self.samples, &mut rng)?;
        found(valued(drawn, &mut score)?)
    }

    /// Regularized evolution (Real et al., 2019) on the score alone: a first population is drawn; then the best of a
    /// tournament is mutated, the child takes its place in the population, and the oldest leaves.
    ///
    /// # Errors
    /// As [`Searcher::random`].
    pub fn evolution(
        &self,
        mut score: impl FnMut(&[S::Candidate]) -> Result<Vec<f64>>,
    ) -> Result<Found<S::Candidate>> {
        let mut rng = self.start()?;
        let first = self.draw_all(self.population.min(self.samples), &mut rng)?;
        self.evolve(valued(first, &mut score)?, &mut score, &mut rng)
    }

    /// AREA, assisted regularized evolution: draws and scores [`Searcher::initial`] candidates, evaluates the best of
    /// them by score as the first population, and goes on with evaluations alone.
    ///
    /// # Errors
    /// As [`Searcher::random`].
    pub fn area(
        &self,
        mut score: impl FnMut(&[S::Candidate]) -> Result<Vec<f64>>,
        mut evaluate: impl FnMut(&[S::Candidate]) -> Result<Vec<f64>>,
    ) -> Result<Found<S::Candidate>> {
        let mut rng = self.start()?;
        let drawn = self.draw_all(self.initial.max(self.population), &mut rng)?;
        let mut scored = valued(drawn, &mut score)?;
        scored.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        scored.truncate(self.population.min(self.samples));
        let first = scored.into_iter().map(|(candidate, _)| candidate).collect();
        self.evolve(valued(first, &mut evaluate)?, &mut evaluate, &mut rng)
    }

    fn start(&self) -> Result<Rng> {
        let sizes =
            [("samples", self.samples), ("population", self.population), ("tournament", self.tournament)];
        match sizes.iter().find(|(_, size)| *size == 0) {
            Some((name, _)) => Err(Error::Search { message: format!("{name}: is zero") }),
            None => Ok(Rng::new(self.seed, Domain::Sampling, &format!("search/{}", self.run))),
        }
    }

    fn draw_all(&self, n: usize, rng: &mut Rng) -> Result<Vec<S::Candidate>> {
        (0..n).map(|_| self.draw(rng)).collect()
    }

    /// An admitted candidate.
    fn draw(&self, rng: &mut Rng) -> Result<S::Candidate> {
        for _ in 0..ATTEMPTS {
            let candidate = self.space.draw(rng.next_u64());
            if (self.admits)(&candidate)? {
                return Ok(candidate);
            }
        }
        let message = format!("none of {ATTEMPTS} candidates that were drawn is within the budget");
        Err(Error::Search { message })
    }

    /// Goes on from a first population until the samples are used up.
    fn evolve(
        &self,
        first: Vec<(S::Candidate, f64)>,
        value: &mut impl FnMut(&[S::Candidate]) -> Result<Vec<f64>>,
        rng: &mut Rng,
    ) -> Result<Found<S::Candidate>> {
        let mut history = first;
        let mut population: VecDeque<usize> = (0..history.len()).collect();
        while history.len() < self.samples {
            let mut parent = population[rng.below(population.len() as u32) as usize];
            for _ in 1..self.tournament {
                let other = population[rng.below(population.len() as u32) as usize];
                if history[other].1 > history[parent].1 {
                    parent = other;
                }
            }
            let child = self.child(&history[parent].0, rng)?;
            population.push_back(history.len());
            population.pop_front();
            history.extend(valued(vec![child], value)?);
        }
        found(history)
    }

    /// An admitted neighbor, or a fresh candidate where there is none.
    fn child(&self, parent: &S::Candidate, rng: &mut Rng) -> Result<S::Candidate> {
        for _ in 0..MUTATIONS {
            let Some(child) = self.space.mutate(parent, rng.next_u64()) else { break };
            if (self.admits)(&child)? {
                return Ok(child);
            }
        }
        self.draw(rng)
    }
}

/// Candidates with their values, which are checked.
fn valued<C>(candidates: Vec<C>, value: &mut impl FnMut(&[C]) -> Result<Vec<f64>>) -> Result<Vec<(C, f64)>> {
    let values = value(&candidates)?;
    let wrong = |message| Err(Error::Search { message });
    if values.len() != candidates.len() {
        return wrong(format!("{} values came for {} candidates", values.len(), candidates.len()));
    }
    if values.iter().any(|value| value.is_nan()) {
        return wrong("a value is NaN".to_owned());
    }
    Ok(candidates.into_iter().zip(values).collect())
}

/// The first of the largest value.
fn found<C: Clone>(history: Vec<(C, f64)>) -> Result<Found<C>> {
    let best = history.iter().reduce(|best, next| if next.1 > best.1 { next } else { best });
    match best.cloned() {
        Some((best, value)) => Ok(Found { best, value, history }),
        None => Err(Error::Search { message: "there are no candidates".to_owned() }),
    }
}
