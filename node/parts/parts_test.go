package parts_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weir-gpu/weir/node/parts"
	_ "github.com/weir-gpu/weir/test/seed"
)

const gib = 1 << 30

func two() *parts.Ledger {
	return parts.New([]parts.Device{{Name: "a", Memory: 80 * gib}, {Name: "b", Ordinal: 1, Memory: 40 * gib}})
}

func TestTakeWhereLeastIsLeft(t *testing.T) {
	l := two()
	for i, c := range []struct {
		ask  parts.Ask
		want string
	}{
		{parts.Ask{Devices: 1, Memory: 60 * gib, Compute: 500}, "[{0 64424509440 500 0}]"},
		{parts.Ask{Devices: 1, Memory: 10 * gib, Compute: 250}, "[{0 10737418240 250 0}]"},
		{parts.Ask{Devices: 1, Memory: 20 * gib, Compute: 250}, "[{1 21474836480 250 0}]"},
		{parts.Ask{Devices: 2, Memory: 10 * gib, Compute: 250}, "[{0 10737418240 250 0} {1 10737418240 250 0}]"},
	} {
		got, err := l.Take(fmt.Sprint(i), c.ask)
		if fmt.Sprint(got) != c.want || err != nil {
			t.Errorf("%+v: %v, %v; want %s", c.ask, got, err, c.want)
		}
	}
	_, err := l.Take("more", parts.Ask{Devices: 1, Memory: gib, Compute: 600})
	var little *parts.TooLittleError
	if !errors.As(err, &little) || !strings.HasSuffix(err.Error(), " GPU 0 1024 MiB of memory and 600 thousandths of compute free, where 0 and 0 are,"+
		" GPU 1 1024 MiB of memory and 600 thousandths of compute free, where 10240 and 500 are: wait until a job ends, or ask for less") {
		t.Errorf("%v", err)
	}
}

func TestWhatCannotBe(t *testing.T) {
	for want, ask := range map[string]parts.Ask{
		"3 devices are asked for, and there are 2: ask for 1 to 2":     {Devices: 3, Memory: 1, Compute: 1},
		"0 devices are asked for, and there are 2: ask for 1 to 2":     {Memory: 1, Compute: 1},
		"1001 thousandths of compute are asked for: ask for 1 to 1000": {Devices: 1, Memory: 1, Compute: 1001},
		"neither memory nor compute is asked for: ask for some":        {Devices: 1},
		"51200 MiB of memory are asked for on 2 devices, and 1 have so much: ask for up to 81920 MiB": {
			Devices: 2, Memory: 50 * gib, Compute: 1},
	} {
		if _, err := two().Take("x", ask); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %s", ask, err, want)
		}
	}
}

// TestTheSamePart gives of one what is asked of the other.
func TestTheSamePart(t *testing.T) {
	for want, ask := range map[string]parts.Ask{
		"[{1 10737418240 250 0}]":  {Devices: 1, Compute: 250},
		"[{0 80530636800 938 0}]":  {Devices: 1, Memory: 75 * gib},
		"[{0 85899345920 1000 0}]": {Devices: 1, Memory: 80 * gib},
		"[{1 1 1 0}]":              {Devices: 1, Memory: 1},
	} {
		l := two()
		if got, err := l.Take("x", ask); fmt.Sprint(got) != want || err != nil {
			t.Errorf("%+v: %v, %v; want %s", ask, got, err, want)
		}
	}
}

// TestNeverMoreThanThereIs plays random promises, and restarts from what they
// say.
func TestNeverMoreThanThereIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := two()
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			id := fmt.Sprint(i)
			ask := parts.Ask{Devices: rapid.IntRange(1, 2).Draw(t, "devices"),
				Memory:  rapid.Uint64Range(0, 40*gib).Draw(t, "memory"),
				Compute: rapid.Int64Range(0, parts.Whole).Draw(t, "compute")}
			if ask.Memory == 0 && ask.Compute == 0 {
				ask.Compute = 1
			}
			got, err := l.Take(id, ask)
			if (err == nil) != (len(got) == ask.Devices) {
				t.Fatalf("%+v: %v, %v", ask, got, err)
			}
			if holders := l.Holders(); len(holders) > 0 && rapid.IntRange(0, 2).Draw(t, "drops") == 0 {
				l.Drop(rapid.SampledFrom(holders).Draw(t, "who"))
			}
			again := two()
			for _, h := range l.Holders() {
				if err := again.Give(h, l.Held(h)); err != nil {
					t.Fatal(err)
				}
			}
			for d, device := range l.Devices() {
				f := l.Free(d)
				if f.Memory > device.Memory || f.Compute < 0 || f.Compute > parts.Whole || f != again.Free(d) {
					t.Fatalf("of %+v %+v is left, and %+v after a restart", device, f, again.Free(d))
				}
			}
		}
	})
}

// TestLent is beside what is free: as much as there are who may be lent to, on
// the devices that have least to do.
func TestLent(t *testing.T) {
	l := two()
	if _, err := l.Take("owner", parts.Ask{Devices: 1, Compute: 1000}); err != nil {
		t.Fatal(err)
	}
	free := []parts.Part{l.Free(0), l.Free(1)}
	on := map[int]int{}
	for i := range 6 {
		got, err := l.Lend(fmt.Sprint(i), parts.Ask{Devices: 1, Compute: 500})
		if err != nil || len(got) != 1 {
			t.Fatalf("%v, %v", got, err)
		}
		on[got[0].Device]++
		again := two()
		if err := again.GiveLent("x", got); err != nil || fmt.Sprint(again.Lent("x")) != fmt.Sprint(got) {
			t.Errorf("%v became %v, %v", got, again.Lent("x"), err)
		}
	}
	if l.Free(0) != free[0] || l.Free(1) != free[1] {
		t.Errorf("what is lent is taken from what is free: %+v, %+v", l.Free(0), l.Free(1))
	}
	if on[0] < 2 || on[1] < 2 {
		t.Errorf("they are on %v", on)
	}
	if _, err := l.Lend("0", parts.Ask{Devices: 1, Compute: 1}); err == nil {
		t.Error("one was lent to twice")
	}
	l.Drop("0")
	if l.Lent("0") != nil {
		t.Error("what was dropped is lent")
	}
	for _, p := range []parts.Part{{Device: 2, Compute: 1}, {Device: 0, Compute: 0}, {Device: 0, Compute: 1, Memory: 999 * gib}} {
		if err := l.GiveLent("y", []parts.Part{p}); err == nil {
			t.Errorf("%+v was taken over", p)
		}
	}
}

// Of a device that is lost nothing is promised nor lent; what was promised stays.
func TestLostDevices(t *testing.T) {
	l := parts.New([]parts.Device{{UUID: "a", Memory: 100}, {UUID: "b", Memory: 100}})
	if _, err := l.Take("x", parts.Ask{Devices: 2, Memory: 10, Compute: 100}); err != nil {
		t.Fatal(err)
	}
	l.Lose(0, true)
	for name, take := range map[string]func(string, parts.Ask) ([]parts.Part, error){"taken": l.Take, "lent": l.Lend} {
		if got, err := take(name, parts.Ask{Devices: 1, Memory: 10, Compute: 100}); err != nil || got[0].Device != 1 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if _, err := take("two"+name, parts.Ask{Devices: 2, Memory: 10, Compute: 100}); err == nil {
			t.Errorf("two devices are %s, and one is lost", name)
		}
	}
	if len(l.Held("x")) != 2 {
		t.Errorf("it has %+v", l.Held("x"))
	}
}
