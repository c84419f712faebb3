// Outliers: the few points that take half of an axis for themselves.

/** Fewest values that can have any: of ten that are spread evenly, one takes half of the axis in 1 case of 100. */
const FEWEST_VALUES = 10;
/** One outlier at most in so many values. */
const VALUES_PER_OUTLIER = 20;
/** Most outliers that are named. */
const MOST_NAMED = 10;

/** The ends of an axis without the fewest values whose absence halves it; null where that would be too many. */
function fences(values) {
  const sorted = Float64Array.from(values).sort(), last = sorted.length - 1;
  const half = (sorted[last] - sorted[0]) / 2;
  if (sorted.length < FEWEST_VALUES || half === 0) return null;
  const most = Math.max(1, Math.floor(sorted.length / VALUES_PER_OUTLIER));
  for (let left = 1; left <= most; left++) {
    for (let low = left; low >= 0; low--) {
      const ends = [sorted[low], sorted[last - (left - low)]];
      if (ends[1] - ends[0] <= half) return ends;
    }
  }
  return null;
}

/** The points that are outliers of an axis, given what each is on it. */
function outliersOf(points, place) {
  const ends = fences(points.map(place));
  return ends ? points.filter((point) => place(point) < ends[0] || place(point) > ends[1]) : [];
}

/** The points of the lowest y, one of so many. */
function lowestOf(points) {
  const sorted = points.map((point) => point.y).sort((a, b) => a - b);
  const least = sorted[Math.floor(sorted.length / VALUES_PER_OUTLIER)];
  return points.filter((point) => point.y < least);
}

/**
 * The points of a chart that are drawn: without those that its control hides, which says which these are. Outliers are
 * hidden until the control is switched off. Where there are none, an axis that is asked to can leave off its lowest points.
 */
function drawnPoints(id, points, { logarithmic = false, lowest = null }) {
  const control = document.getElementById(`${id}-outliers`), box = control.querySelector("input");
  const across = (point) => (logarithmic ? Math.log10(point.x) : point.x);
  const outliers = [...new Set([...outliersOf(points, across), ...outliersOf(points, (point) => point.y)])];
  const hidden = outliers.length || !lowest ? outliers : lowestOf(points);
  control.hidden = !hidden.length;
  if (!("drawn" in control.dataset)) {
    control.dataset.drawn = "";
    box.checked = outliers.length > 0;
    box.addEventListener("change", drawCharts);
  }
  control.querySelector("span").textContent = outliers.length ? "leave outliers off the axes" : `leave ${lowest} off the axis`;
  const said = control.querySelector(".reading");
  said.replaceChildren();
  if (!box.checked || !hidden.length) return points;
  const named = hidden.slice(0, MOST_NAMED).flatMap(({ row }, i) => {
    const link = element("a", { href: `#network-${nameOf[row]}` }, nameOf[row]);
    return [i ? ", " : "", link];
  });
  const more = hidden.length > MOST_NAMED ? ` and ${number(hidden.length - MOST_NAMED, 0)} more` : "";
  const why = outliers.length ? ", which would take half of an axis or more" : "";
  const networks = hidden.length === 1 ? "network" : "networks";
  said.append(`Hidden: ${number(hidden.length, 0)} of ${number(points.length, 0)} points${why}: ${networks} `, ...named, `${more}. All figures count them.`);
  const left = new Set(hidden);
  return points.filter((point) => !left.has(point));
}
