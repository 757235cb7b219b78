// Package board is the scoreboard: what Weir is measured by, on public traces,
// beside the figures that others published.
//
//   - [Scenarios] is what is run, a table: the same that `weir simulate` runs,
//     over several seeds.
//   - [Results] is what came of it, kept in a file. A scenario is run again only
//     when what it depends on has changed: its parameters, or the code and data
//     of the engine and the simulator.
//   - [Page] writes tables and charts from results, without running anything.
//   - [Results.Worse] holds a short run against what is recorded.
//
// There is no policy here and no simulation; figures are those of sim/pack and
// sim/replay, rounded.
package board
