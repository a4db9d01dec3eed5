// A std::mutex that clang's thread-safety analysis understands. Abseil's own mutex is not used: Debian's
// build of it is not instrumented, so ThreadSanitizer reports correct programs.
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define FABRO_ANNOTATION(x) __attribute__((x))
#else
#define FABRO_ANNOTATION(x)
#endif
// Abseil's old annotation header defines the same names with the same meaning.
#undef GUARDED_BY
#undef REQUIRES
#undef EXCLUDES
#define GUARDED_BY(x) FABRO_ANNOTATION(guarded_by(x))
#define REQUIRES(...) FABRO_ANNOTATION(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) FABRO_ANNOTATION(locks_excluded(__VA_ARGS__))

namespace fabro {

class CondVar;

class FABRO_ANNOTATION(capability("mutex")) Mutex {
 public:
  void Lock() FABRO_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void Unlock() FABRO_ANNOTATION(release_capability()) { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class FABRO_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) FABRO_ANNOTATION(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_->Lock();
  }
  ~MutexLock() FABRO_ANNOTATION(release_capability()) { mutex_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

class CondVar {
 public:
  // Releases the mutex while waiting; wakes may be spurious, so wait in a loop.
  void Wait(Mutex* mutex) REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace fabro
