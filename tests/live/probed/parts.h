long combine(int a, long b, const char *text, unsigned char c, unsigned d, long e, long f, int g);
int same(int a);
const char *label(int a);
void open_log(const char *path);
void close_log(void);
