/* Calls that write to disk do nothing: what a program without them would leave behind. ONLY_SYNC: single files are
 * written as they should be, only the slot as a whole is not. */
#ifndef ONLY_SYNC
int fsync(int fd) { (void)fd; return 0; }
int fdatasync(int fd) { (void)fd; return 0; }
int syncfs(int fd) { (void)fd; return 0; }
#endif
void sync(void) {}
