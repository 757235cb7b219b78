// Package spelling measures how far one word is from another, so that a slip
// can be answered with what was probably meant. It knows no words itself.
package spelling

// Distance is how many letters have to be put in, left out or replaced to turn
// a into b; two swapped neighbours are two changes. It compares bytes.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
