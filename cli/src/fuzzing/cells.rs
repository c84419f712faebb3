//! Cells, by themselves and in files.

use std::fmt::Debug;

use naswot::{Architecture, SkeletonSettings, Space};

use super::scratch::with_file;
use crate::architecture_arg::ArchitectureArg;
use crate::network_file::{self, Lines};

/// A cell in any notation, an arch of each space, a line of JSON.
pub(super) fn arch(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let read = Space::ALL.map(|space| space.parse_arch(&text));
    let read = read.into_iter().chain([text.parse(), Architecture::from_json(&text)]);
    let cells: Vec<Architecture> = read.flatten().collect();
    for cell in &cells {
        same(&cell.space().parse_arch(&cell.arch()), cell);
        same(&Architecture::from_json(&cell.to_json()), cell);
        let _ = (cell.id(), cell.first_equal(), cell.mutate(1), Space::of_arch(&text));
        assert!(cell.network(&SkeletonSettings { stem: Some(4), ..SkeletonSettings::default() }).is_ok());
    }
    assert!(Architecture::names_in_rows(&text).len() <= Space::ALL.len());
    !cells.is_empty()
}

fn same<T: PartialEq + Debug, E: Debug>(read: &Result<T, E>, written: &T) {
    assert_eq!(read.as_ref().ok(), Some(written), "{read:?}");
}

/// Lines of cells.
pub(super) fn lines(input: &[u8]) -> bool {
    assert!(Architecture::read_cells(input).map(|(line, _)| line).is_sorted());
    assert!(Architecture::read_lines(input).map(|(line, _)| line).is_sorted());
    Architecture::read_cells(input).any(|(_, cell)| cell.is_ok())
}

/// A file of networks in any form, a list of names of networks, and the file of one cell.
pub(super) fn networks(input: &[u8]) -> bool {
    let forms =
        [("networks.jsonl", Lines::Objects), ("cells.txt", Lines::Cells), ("networks.csv", Lines::Objects)];
    let read = forms.map(|(name, lines)| {
        with_file(name, input, |path| {
            let networks = network_file::open(path, lines);
            let read = networks
                .is_ok_and(|(networks, _)| networks.filter(|(_, network)| network.is_ok()).count() > 0);
            if let Ok(names) = network_file::names(path) {
                for space in Space::ALL {
                    let _ = network_file::judge_names(path, space, &names);
                }
            }
            for row in [None, Some(1)] {
                let _ = ArchitectureArg::File(path.to_owned()).find(row);
            }
            read
        })
    });
    read.contains(&true)
}
