//! Which nodes have a path to the output. A ReLU counts exactly when it has one; an edge multiplied by zero is
//! still an edge.

use crate::Graph;

/// For each node, whether its output reaches the graph's output through edges.
pub(crate) fn reach(graph: &Graph) -> Vec<bool> {
    let nodes = graph.nodes();
    let mut reached = vec![false; nodes.len()];
    reached[graph.output().index()] = true;
    for (i, node) in nodes.iter().enumerate().rev() {
        if reached[i] {
            for input in node.inputs() {
                reached[input.index()] = true;
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_multiplied_by_zero_is_an_edge_and_an_unread_branch_is_none() {
        let mut g = Graph::builder(3).unwrap();
        let dead = g.relu(g.input()).unwrap();
        let zero = g.zero(dead).unwrap();
        let unread = g.relu(g.input()).unwrap();
        let sum = g.add(&[zero, g.input()]).unwrap();
        let graph = g.output(sum).unwrap();
        let reached = reach(&graph);
        assert!(reached[dead.index()] && reached[zero.index()]);
        assert!(!reached[unread.index()]);
    }
}
