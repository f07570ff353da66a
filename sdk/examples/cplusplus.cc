// C++ without exceptions and run-time types: objects, virtual functions, new and delete, a static variable
// that is made when it is first asked for.
#include <stdio.h>

#include <new>

class Shape {
  public:
    virtual ~Shape() = default;
    virtual double area() const = 0;
};

class Square final : public Shape {
  public:
    explicit Square(double side) : side_(side) {}
    double area() const override {
        return side_ * side_;
    }

  private:
    double side_;
};

class Circle final : public Shape {
  public:
    explicit Circle(double radius) : radius_(radius) {}
    double area() const override {
        return 3.0 * radius_ * radius_;
    }

  private:
    double radius_;
};

struct Counter {
    int value = 0;
    Counter() {
        puts("the counter is made");
    }
    ~Counter() {
        printf("the counter ends at %d\n", value);
    }
};

static Counter& counter() {
    static Counter one;
    return one;
}

int main() {
    Shape* shapes[] = {new Square(2), new Circle(1), new (std::nothrow) Square(3)};
    for (Shape* shape : shapes) {
        printf("area %.1f\n", shape->area());
        counter().value++;
        delete shape;
    }
    return 0;
}
