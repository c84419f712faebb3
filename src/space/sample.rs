//! Samples of lists of architectures.

use std::collections::HashSet;

use super::table::Architecture;
use crate::{Error, Result, parallel, random};

impl Architecture {
    /// The positions, in ascending order, of `n` different architectures of a list, drawn uniformly without replacement. Of
    /// those with one [`id`](Architecture::id) the first counts. A smaller sample of the same seed is part of a larger one.
    ///
    /// ```
    /// use naswot::{Architecture, Space};
    ///
    /// let cells = Space::NasBench201.sample(20, 0)?;
    /// let twice = [cells.clone(), cells].concat();
    /// let positions = Architecture::sample_of(&twice, 5, 0)?;
    /// assert!(positions.len() == 5 && positions.is_sorted() && positions[4] < 20);
    /// assert!(Architecture::sample_of(&twice, 21, 0).is_err());
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] when `n` is more than there are different ones.
    pub fn sample_of(list: &[Self], n: usize, seed: u64) -> Result<Vec<usize>> {
        let ids: Vec<String> = parallel::map(list.iter().collect(), Self::id);
        let mut seen = HashSet::with_capacity(ids.len());
        let first: Vec<usize> = (0..ids.len()).filter(|&position| seen.insert(&ids[position])).collect();
        let wrong = |message| Error::Setting { name: "n", message };
        if n > first.len() {
            let message = format!("{n} different networks were asked for, and there are {}", first.len());
            return Err(wrong(message));
        }
        let total = u32::try_from(first.len())
            .map_err(|_| wrong("2^32 networks or more cannot be drawn from".to_owned()))?;
        let mut drawn = random::draw(total, n, seed, "networks");
        drawn.sort_unstable();
        Ok(drawn.into_iter().map(|position| first[position]).collect())
    }
}
