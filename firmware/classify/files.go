package classify

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Files lists images below each path: a file is taken as it is, a folder is
// searched to its full depth for JPEG and PNG files, in lexical order. skipped
// counts other files met in folders. A path that cannot be read is an error in
// errs; the rest goes on.
func Files(paths []string) (files []string, skipped int, errs []error) {
	for _, p := range paths {
		info, err := os.Stat(p)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("find images: %w", err))
		case !info.IsDir():
			files = append(files, p)
		default:
			found, other, faults := inFolder(p)
			files, skipped, errs = append(files, found...), skipped+other, append(errs, faults...)
			if len(found) == 0 && len(faults) == 0 {
				errs = append(errs, fmt.Errorf("find images: %s: got no JPEG or PNG file in this folder", p))
			}
		}
	}
	return files, skipped, errs
}

func inFolder(dir string) (files []string, skipped int, errs []error) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("find images: %w", err))
		case d.IsDir():
		case isImage(path):
			files = append(files, path)
		default:
			skipped++
		}
		return nil
	})
	return files, skipped, errs
}

func isImage(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".jpg", ".jpeg", ".png":
		return true
	}
	return false
}
