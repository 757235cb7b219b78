package spelling

import "testing"

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "gpu", 3}, {"gpu", "", 3}, {"vision", "vision", 0},
		{"reserch", "research", 1}, {"gpu", "cpu", 1}, {"visoin", "vision", 2},
	} {
		if got := Distance(c.a, c.b); got != c.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
