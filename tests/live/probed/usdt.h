/* Notes of USDT probes on x86-64, as SystemTap's wiki describes them (UserSpaceProbeImplementation). */
#define NOTE(PROVIDER, NAME, SEMAPHORE, ARGS, ...)                                                                     \
  __asm__ volatile("990: nop\n"                                                                                        \
                   ".pushsection .note.stapsdt,\"\",\"note\"\n"                                                        \
                   ".balign 4\n"                                                                                       \
                   ".4byte 992f-991f, 994f-993f, 3\n"                                                                  \
                   "991: .asciz \"stapsdt\"\n"                                                                         \
                   "992: .balign 4\n"                                                                                  \
                   "993: .8byte 990b, 0, " SEMAPHORE "\n"                                                              \
                   ".asciz \"" PROVIDER "\"\n"                                                                         \
                   ".asciz \"" NAME "\"\n"                                                                             \
                   ".asciz \"" ARGS "\"\n"                                                                             \
                   "994: .balign 4\n"                                                                                  \
                   ".popsection\n" ::__VA_ARGS__)
