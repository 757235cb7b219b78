package wire_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weir-gpu/weir/node/wire"
)

// layout is where the fields are in memory, by their names in C.
func layout() string {
	var b strings.Builder
	say := func(name string, n uintptr) { fmt.Fprintf(&b, "%s %d\n", name, n) }
	var rules wire.Rules
	var rule wire.Rule
	var use wire.Use
	say("rules", unsafe.Sizeof(rules))
	say("rules.beat", unsafe.Offsetof(rules.Beat))
	say("rules.place", unsafe.Offsetof(rules.Place))
	say("rules.flags", unsafe.Offsetof(rules.Flags))
	say("rules.raised", unsafe.Offsetof(rules.Raised))
	say("rules.device", unsafe.Offsetof(rules.Device))
	live, _ := reflect.TypeFor[wire.Rules]().FieldByName("live")
	say("rules.live", live.Offset)
	say("rules.pid", unsafe.Offsetof(rules.PID))
	beyond, _ := reflect.TypeFor[wire.Rules]().FieldByName("beyond")
	say("rules.beyond", beyond.Offset)
	say("rule", unsafe.Sizeof(rule))
	say("rule.gate", unsafe.Offsetof(rule.Gate))
	say("rule.lease_until", unsafe.Offsetof(rule.LeaseUntil))
	say("rule.turn_length", unsafe.Offsetof(rule.TurnLength))
	say("rule.uuid", unsafe.Offsetof(rule.UUID))
	say("rule.memory_promised", unsafe.Offsetof(rule.MemoryPromised))
	say("rule.context_bytes", unsafe.Offsetof(rule.Context))
	say("rule.unseen", unsafe.Offsetof(rule.Unseen))
	say("use", unsafe.Sizeof(use))
	say("use.busy", unsafe.Offsetof(use.Busy))
	say("use.hungry", unsafe.Offsetof(use.Hungry))
	say("use.contexts", unsafe.Offsetof(use.Contexts))
	say("use.swapped", unsafe.Offsetof(use.Swapped))
	say("cell.placed", unsafe.Offsetof(wire.Cell{}.Placed))
	say("cell.asleep", unsafe.Offsetof(wire.Cell{}.Asleep))
	say("cell.lacks", unsafe.Offsetof(wire.Cell{}.Lacks))
	say("cell.changes", unsafe.Offsetof(wire.Cell{}.Changes))
	say("cell.pid", unsafe.Offsetof(wire.Cell{}.PID))
	say("cells", unsafe.Sizeof(wire.CellTable{}))
	say("slot", unsafe.Sizeof(wire.Slot{}))
	say("slot.state", unsafe.Offsetof(wire.Slot{}.State))
	say("slot.address", unsafe.Offsetof(wire.Slot{}.Address))
	say("arena", unsafe.Sizeof(wire.ArenaHead{}))
	say("arena.chunks", unsafe.Offsetof(wire.ArenaHead{}.Chunks))
	say("arena.ready", unsafe.Offsetof(wire.ArenaHead{}.Ready))
	say("arena.start", unsafe.Offsetof(wire.ArenaHead{}.Start))
	return b.String()
}

const inC = `#include "wire.h"
#include <stddef.h>
#include <stdio.h>
#define SIZE(n, t) printf(n " %zu\n", sizeof(struct t));
#define AT(n, t, f) printf(n " %zu\n", offsetof(struct t, f));
int main(void) {
	SIZE("rules", weir_rules)
	AT("rules.beat", weir_rules, beat)
	AT("rules.place", weir_rules, place)
	AT("rules.flags", weir_rules, flags)
	AT("rules.raised", weir_rules, raised)
	AT("rules.device", weir_rules, device)
	AT("rules.live", weir_rules, live)
	AT("rules.pid", weir_rules, pid)
	AT("rules.beyond", weir_rules, beyond)
	SIZE("rule", weir_rule)
	AT("rule.gate", weir_rule, gate)
	AT("rule.lease_until", weir_rule, lease_until)
	AT("rule.turn_length", weir_rule, turn_length)
	AT("rule.uuid", weir_rule, uuid)
	AT("rule.memory_promised", weir_rule, memory_promised)
	AT("rule.context_bytes", weir_rule, context_bytes)
	AT("rule.unseen", weir_rule, unseen)
	SIZE("use", weir_use)
	AT("use.busy", weir_use, busy)
	AT("use.hungry", weir_use, hungry)
	AT("use.contexts", weir_use, contexts)
	AT("use.swapped", weir_use, swapped)
	AT("cell.placed", weir_cell, placed)
	AT("cell.asleep", weir_cell, asleep)
	AT("cell.lacks", weir_cell, lacks)
	AT("cell.changes", weir_cell, changes)
	AT("cell.pid", weir_cell, pid)
	SIZE("cells", weir_cells)
	SIZE("slot", weir_slot)
	AT("slot.state", weir_slot, state)
	AT("slot.address", weir_slot, address)
	SIZE("arena", weir_arena)
	AT("arena.chunks", weir_arena, chunks)
	AT("arena.ready", weir_arena, ready)
	AT("arena.start", weir_arena, start)
	return WEIR_MAGIC != 0x52494557u || WEIR_VERSION != 3 || WEIR_DONE != 5 || WEIR_FAIR != 2 ||
	       WEIR_UNMOVED != 8 || WEIR_LACKS != 9 || WEIR_COPYING_IN != 3 || WEIR_CHUNK != 2 << 20;
}
`

// sums are what the two make of the same words: bytes, contexts then and now, and
// what a context is expected to take.
var sums = []struct {
	bytes         uint64
	then, now     uint32
	context, want uint64
}{
	{0, 0, 0, 300, 0},
	{0, 0, 2, 300, 600},
	{310, 1, 1, 300, 310},
	{310, 1, 2, 300, 610},
	{310, 1, 0, 300, 10},
	{290, 1, 0, 300, 0},
	{290, 3, 1, 300, 0},
	{5, 255, 255, 300, 5},
	{1<<56 - 1, 0, 0, 1, 1<<56 - 1},
	{7, 0, 1 << 31, 1 << 40, 1<<64 - 1},
	{1 << 55, 0, 1, 1<<64 - 1, 1<<64 - 1},
}

// TestSameSumsAsInC asks both what a process has beyond what it charges.
func TestSameSumsAsInC(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler")
	}
	var lines, want strings.Builder
	for i, s := range sums {
		fmt.Fprintf(&lines, "\tone(%dull, %du, %du, %dull);\n", s.bytes, s.then, s.now, s.context)
		fmt.Fprintf(&want, "%d\n", s.want)
		var r wire.Rules
		r.Device[3].Context.Store(s.context)
		r.SetBeyond(3, 200, s.then, s.bytes)
		if got := r.Beyond(3, 200, s.now); got != s.want {
			t.Errorf("%d: %d, want %d", i, got, s.want)
		}
	}
	source, program := filepath.Join(t.TempDir(), "sums.c"), filepath.Join(t.TempDir(), "sums")
	text := `#include "wire.h"
#include <stdio.h>
static struct weir_rules rules;
static struct weir_cells cells;
static void one(uint64_t bytes, uint32_t then, uint32_t now, uint64_t context)
{
	rules.beyond[3][200] = (uint64_t)then << WEIR_BEYOND_BITS | bytes;
	rules.device[3].context_bytes = context;
	cells.cell[200].device[3].contexts = now;
	printf("%llu\n", (unsigned long long)weir_beyond(&rules, &cells, 3, 200));
}
int main(void)
{
` + lines.String() + "\treturn 0;\n}\n"
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-std=c11", "-I../../shim", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.Command(program).Output(); err != nil || string(out) != want.String() {
		t.Errorf("in C (%v)\n%s\nwant\n%s", err, out, want.String())
	}
}

// TestSameLayoutAsInC compiles the header and asks it.
func TestSameLayoutAsInC(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler")
	}
	dir := t.TempDir()
	source, program := filepath.Join(dir, "layout.c"), filepath.Join(dir, "layout")
	if err := os.WriteFile(source, []byte(inC), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-std=c11", "-I../../shim", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(program).Output()
	if err != nil || string(out) != layout() {
		t.Errorf("in C (%v)\n%s\nin Go\n%s", err, out, layout())
	}
}

func TestMessages(t *testing.T) {
	for _, m := range []wire.Message{
		{}, {Kind: wire.Want, Device: 3}, {Kind: wire.Done, Device: 1, Lease: 77, Cell: 5},
		{Kind: wire.Refused, Text: "the agent speaks version 1"},
	} {
		got, err := wire.Parse(m.Append(nil))
		if err != nil || got != m {
			t.Errorf("%+v became %+v, %v", m, got, err)
		}
	}
	long := wire.Message{Text: strings.Repeat("x", 500)}
	if got, err := wire.Parse(long.Append(nil)); err != nil || len(got.Text) != 111 {
		t.Errorf("a long text became %d bytes, %v", len(got.Text), err)
	}
	for _, b := range [][]byte{nil, make([]byte, 127), bytes.Repeat([]byte{1}, 128)} {
		if _, err := wire.Parse(b); err == nil {
			t.Errorf("%d bytes were read", len(b))
		}
	}
}

// TestContainersCannotWriteTheirRules tries to.
func TestContainersCannotWriteTheirRules(t *testing.T) {
	p, err := wire.NewPages("test")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Rules.Device[0].MemoryLimit.Store(42)
	size := int(unsafe.Sizeof(wire.Rules{}))
	if _, err := unix.Mmap(p.RulesFile, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		t.Error("the rules were mapped to be written")
	}
	if _, err := unix.Pwrite(p.RulesFile, []byte{1}, 0); err == nil {
		t.Error("the rules were written")
	}
	again := fmt.Sprintf("/proc/self/fd/%d", p.RulesFile)
	if f, err := os.OpenFile(again, os.O_RDWR, 0); err == nil {
		if _, err := f.WriteAt([]byte{1}, 0); err == nil {
			t.Error("the rules were written through /proc")
		}
		f.Close()
	}
	if err := unix.Ftruncate(p.RulesFile, 0); err == nil {
		t.Error("the rules were cut")
	}
	m, err := unix.Mmap(p.RulesFile, 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(m)
	if err := unix.Mprotect(m, unix.PROT_READ|unix.PROT_WRITE); err == nil {
		t.Error("a mapping to be read became one to be written")
	}
	if got := (*wire.Rules)(unsafe.Pointer(&m[0])).Device[0].MemoryLimit.Load(); got != 42 {
		t.Errorf("the container reads %d", got)
	}
}

func TestLiveCells(t *testing.T) {
	var r wire.Rules
	for _, c := range []int{0, 3, 5, 255} {
		r.SetLive(c, true)
	}
	r.SetLive(3, false)
	for c := range wire.Cells {
		if want := c == 0 || c == 5 || c == 255; r.Live(c) != want {
			t.Errorf("cell %d: live %t", c, r.Live(c))
		}
	}
}
