/* Whether a sanitizer watches this program: it then takes more memory and time than the law allows for. */
#ifndef MTH_TESTS_SANITIZED_H
#define MTH_TESTS_SANITIZED_H

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define MTH_SANITIZED 1
#endif
#endif
#if defined(MTH_SANITIZED) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

#endif
